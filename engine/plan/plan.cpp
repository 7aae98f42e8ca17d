#include "engine/plan/plan.h"

#include <algorithm>
#include <utility>

#include "engine/core/error.h"
#include "engine/plan/cost.h"
#include "engine/plan/pass.h"

namespace pila {
namespace {

constexpr const char* kPrepareWeights = "prepare-weights";
constexpr const char* kCaptureWork = "capture-work";

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

void check_passes(const std::vector<std::string>& names) {
  std::string known = std::string(kPrepareWeights) + ", " + kCaptureWork;
  for (const auto& pass : inference_passes()) known.append(", ").append(pass->name());
  for (const std::string& name : names) {
    const bool is_pass =
        std::ranges::any_of(inference_passes(), [&](const auto& pass) { return pass->name() == name; });
    if (!is_pass && name != kPrepareWeights && name != kCaptureWork) {
      throw UsageError("[plan] expected one of the passes " + known + ", got '" + name + "'");
    }
  }
}

void check_precision(const Context& ctx, const PlanOptions& options) {
  const bool stores = ctx.kernels().stores_16_bits;
  const bool known = stores ? options.precision != Precision::i8
                            : options.precision != Precision::f16 && options.precision != Precision::tf32;
  if (!known) {
    throw UsageError(std::string("[plan] expected precision float32, ") +
                     (stores ? "tf32, bfloat16 or float16" : "bfloat16 or int8") + " on device " +
                     ctx.device()->name() + ", got " + to_string(options.precision));
  }
  const char* lacks = ctx.kernels().lacks_bf16;
  if (options.precision == Precision::bf16 && lacks != nullptr) {
    throw UsageError(std::string("[plan] expected a processor with ") + lacks +
                     " for precision bfloat16, got one without");
  }
  if (options.precision == Precision::i8 && options.ranges.empty()) {
    throw UsageError("[plan] expected ranges of the network's products for precision int8, got none");
  }
}

class Collector : public CallCollector {
 public:
  void take(std::string_view, std::unique_ptr<const KernelCall> call) override {
    calls.push_back(std::move(call));
  }
  std::vector<std::unique_ptr<const KernelCall>> calls;
};

// All that a node reads but its image is constant, so its kernel may lay out its weights once. A residual is
// not a weight.
bool weights_are_constant(const Graph& graph, const Node& node) {
  for (std::size_t i = 1; i < node.inputs.size(); ++i) {
    if (graph.is_constant(node.inputs[i])) continue;
    const bool is_last = i + 1 == node.inputs.size();
    const bool residual = std::visit(
        [](const auto& attributes) {
          if constexpr (requires { attributes.residual; }) return attributes.residual;
          return false;
        },
        node.op->attributes());
    if (!is_last || !residual) return false;
  }
  return !node.inputs.empty() && !graph.is_constant(node.inputs[0]);
}

}  // namespace

void check(const Context& ctx, const PlanOptions& options) {
  check_passes(options.without);
  check_precision(ctx, options);
}

std::shared_ptr<const Plan> Plan::build(const Context& ctx, Graph graph, const PlanOptions& options) {
  check(ctx, options);
  const bool captures = ctx.device()->api().captures() && !contains(options.without, kCaptureWork);
  const std::shared_ptr<Plan> plan(new Plan(ctx.inference().no_grad(), std::move(graph), captures));
  plan->rewrite(options);
  plan->lay_out();
  plan->prepare(!contains(options.without, kPrepareWeights));
  plan->drop_prepared_constants();
  // Loading a model and building its plan frees memory, up to more than running it takes.
  ctx.device()->give_back_memory();
  return plan;
}

void Plan::rewrite(const PlanOptions& options) {
  for (const Node& node : graph_.nodes()) {
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (!node.op->writes(i)) continue;
      throw UsageError("[plan] " + std::string(node.op->name()) + " of '" + node.name +
                       "' overwrites its input: expected a computation for inference");
    }
  }
  for (const auto& pass : inference_passes(options.precision, options.ranges)) {
    if (contains(options.without, pass->name())) continue;
    passes_.push_back({std::string(pass->name()), pass->run(ctx_, graph_)});
  }
}

void Plan::lay_out() {
  const auto& nodes = graph_.nodes();
  std::vector<Lifetime> lifetimes(graph_.value_count());
  roots_.resize(graph_.value_count());
  for (ValueId id = 0; id < roots_.size(); ++id) roots_[id] = id;
  const auto read = [&](ValueId id, std::size_t step) {
    Lifetime& life = lifetimes[roots_[id]];
    life.last = std::max(life.last, step);
  };
  for (const ValueId id : graph_.inputs()) lifetimes[id] = {graph_.value(id).spec.bytes(), 0, 0};
  for (std::size_t step = 0; step < nodes.size(); ++step) {
    const Node& node = nodes[step];
    for (const ValueId id : node.inputs) read(id, step);
    for (const ValueId id : node.outputs) {
      if (node.op->is_view()) {
        roots_[id] = roots_[node.inputs[0]];
      } else {
        lifetimes[id] = {graph_.value(id).spec.bytes(), step, step};
      }
    }
  }
  for (const ValueId id : graph_.inputs()) read(id, nodes.size());  // stay readable, for the next run
  for (const ValueId id : graph_.outputs()) read(id, nodes.size());
  for (ValueId id = 0; id < roots_.size(); ++id) {
    if (graph_.is_constant(id) || roots_[id] != id) lifetimes[id].bytes = 0;
  }
  layout_ = plan_memory(lifetimes);
}

Tensor Plan::tensor_of(ValueId id, const Memory& memory) const {
  const ValueId root = roots_[id];
  const Value& value = graph_.value(id);
  if (graph_.is_constant(root)) return graph_.value(root).constant.view(value.spec.shape);
  for (std::size_t i = 0; i < memory.inputs.size(); ++i) {
    if (memory.inputs[i] && root == graph_.inputs()[i]) return memory.inputs[i].view(value.spec.shape);
  }
  return memory.block.within(layout_.offsets[root], value.spec);
}

Plan::BoundCalls Plan::bind(const Memory& memory, std::vector<std::size_t>* nodes) const {
  Collector collector;
  const Context collecting = ctx_.with_collector(&collector);
  for (std::size_t n = 0; n < graph_.nodes().size(); ++n) {
    const Node& node = graph_.nodes()[n];
    if (node.op->is_view()) continue;
    std::vector<Tensor> inputs, outputs;
    for (const ValueId id : node.inputs) inputs.push_back(tensor_of(id, memory));
    for (const ValueId id : node.outputs) outputs.push_back(tensor_of(id, memory));
    try {
      node.op->run(collecting, inputs, outputs);
    } catch (const Error& error) {
      throw Error("[plan] " + node.name + ": " + error.what());
    }
    if (nodes != nullptr) nodes->resize(collector.calls.size(), n);
  }
  return std::move(collector.calls);
}

void Plan::prepare(bool weights) {
  const Memory memory{Tensor::empty(ctx_, bytes_spec(layout_.bytes)), {}};
  std::vector<std::size_t> nodes;
  const BoundCalls bound = bind(memory, &nodes);
  // One block for all: large enough for a device to give it large pages.
  std::vector<std::size_t> sizes(bound.size());
  std::size_t total = 0;
  for (std::size_t i = 0; i < bound.size(); ++i) {
    if (weights && weights_are_constant(graph_, graph_.nodes()[nodes[i]])) {
      sizes[i] = aligned(bound[i]->prepared_size(ctx_.stream()));
    }
    total += sizes[i];
  }
  prepared_ = Tensor::empty(ctx_, bytes_spec(total));
  for (std::size_t i = 0, offset = 0; i < bound.size(); offset += sizes[i++]) {
    const KernelCall& kernel = *bound[i];
    Call call{nodes[i], kernel.kernel(), {}};
    if (sizes[i] > 0) {
      call.prepared = prepared_.within(offset, bytes_spec(sizes[i]));
      const kernels::Status status = kernel.prepare(call.prepared.data(), {.stream = &ctx_.stream()});
      if (status != nullptr) throw_kernel_failed("plan", kernel.kernel(), status);
    }
    workspace_bytes_ = std::max(workspace_bytes_, kernel.workspace(ctx_.stream(), call.prepared.defined()));
    calls_.push_back(std::move(call));
  }
}

void Plan::drop_prepared_constants() {
  std::vector<bool> read(graph_.value_count());  // by a kernel that has no copy
  for (const ValueId id : graph_.outputs()) read[id] = true;
  std::vector<bool> copied(graph_.nodes().size());  // by all of a node's kernels
  for (const Call& call : calls_) copied[call.node] = true;
  for (const Call& call : calls_) {
    if (!call.prepared) copied[call.node] = false;
  }
  for (std::size_t n = 0; n < copied.size(); ++n) {
    if (copied[n]) continue;
    for (const ValueId id : graph_.nodes()[n].inputs) read[id] = true;
  }
  const auto drops = [&](ValueId id) {
    return graph_.is_constant(id) && !read[id] && graph_.value(id).spec.shape.rank() > 1;  // no bias
  };
  std::size_t largest = 0;
  for (ValueId id = 0; id < read.size(); ++id) {
    if (drops(id)) largest = std::max(largest, graph_.value(id).spec.bytes());
  }
  dropped_ = Tensor::empty(ctx_, bytes_spec(largest));
  for (ValueId id = 0; id < read.size(); ++id) {
    if (drops(id)) graph_.set_constant(id, dropped_.within(0, graph_.value(id).spec));
  }
}

std::size_t Plan::prepared_bytes() const { return prepared_.bytes(); }

std::size_t Plan::session_bytes() const { return layout_.bytes + workspace_bytes_; }

std::string Plan::explain() const {
  const auto specs_of = [&](const std::vector<ValueId>& ids) {
    std::string specs;
    for (const ValueId id : ids) {
      if (!graph_.is_constant(id)) specs += (specs.empty() ? "" : ", ") + graph_.value(id).spec.to_string();
    }
    return specs;
  };
  std::string text;
  for (const auto& [name, places] : passes_) text += "pass " + name + ": " + std::to_string(places) + "\n";
  std::vector<std::string> kernels(graph_.nodes().size());
  for (const Call& call : calls_) {
    std::string& line = kernels[call.node];
    line += (line.empty() ? "" : ", ") + call.kernel + (call.prepared ? " (prepared weights)" : "");
  }
  for (std::size_t n = 0; n < graph_.nodes().size(); ++n) {
    const Node& node = graph_.nodes()[n];
    const Cost cost = cost_of(graph_, node);
    text += std::string(node.op->name()) + " " + node.name + ": " + specs_of(node.inputs) + " to " +
            specs_of(node.outputs) + "; " + std::to_string(cost.activation_bytes) +
            " bytes of activations, " + std::to_string(cost.weight_bytes) + " of weights; " +
            (kernels[n].empty() ? "a view" : kernels[n]) + "\n";
  }
  text += std::to_string(session_bytes()) + " bytes a session (" + std::to_string(workspace_bytes_) +
          " of them workspace), " + std::to_string(prepared_bytes()) + " of prepared weights\n";
  return text;
}

}  // namespace pila
