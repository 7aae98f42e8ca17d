#include "engine/autograd/tape.h"

#include <array>
#include <string>
#include <utility>

#include "engine/core/error.h"
#include "engine/ops/ops.h"

namespace pila {
namespace {

void add_to(const Context& ctx, std::map<std::uint64_t, Tensor>& gradients, std::uint64_t id,
            const Tensor& gradient) {
  const auto [found, is_new] = gradients.try_emplace(id, gradient);
  if (!is_new) found->second = ops::add(ctx, found->second, gradient);
}

std::uint64_t sum_of_versions(std::span<const Tensor> tensors) {
  std::uint64_t sum = 0;
  for (const Tensor& tensor : tensors) {
    if (tensor) sum += tensor.version();
  }
  return sum;
}

}  // namespace

Tensor Gradients::of(const Tensor& watched) const {
  const auto found = by_id_.find(watched.id());
  return found == by_id_.end() ? Tensor() : found->second;
}

void Gradients::set(const Tensor& watched, Tensor gradient) { by_id_[watched.id()] = std::move(gradient); }

void Gradients::accumulate(const Context& ctx, const Gradients& other) {
  for (const auto& [id, gradient] : other.by_id_) add_to(ctx, by_id_, id, gradient);
}

void Tape::watch(const Tensor& tensor) {
  if (!tensor || !is_floating(tensor.type())) {
    throw UsageError("[tape] expected a floating-point tensor to watch, got " + to_string({&tensor, 1}));
  }
  watched_.insert(tensor.id());
  reached_.insert(tensor.id());
}

bool Tape::follows(const Tensor& tensor) const {
  return reached_.count(tensor.id()) != 0 || (behind_ != nullptr && behind_->follows(tensor));
}

void Tape::record(const std::shared_ptr<const Op>& op, std::span<const Tensor> inputs,
                  std::span<const Tensor> outputs) {
  if (behind_ != nullptr) behind_->record(op, inputs, outputs);

  Node node;
  bool reached = false;
  for (std::size_t i = 0; i < inputs.size() && !outputs.empty(); ++i) {
    if (reached_.count(inputs[i].id()) == 0) continue;
    if (!reached) node.wanted = std::make_unique<bool[]>(inputs.size());
    node.wanted[i] = reached = true;
  }
  if (!reached) return;

  node.op = op;
  const Saved saved = op->saved({node.wanted.get(), inputs.size()});
  node.inputs.resize(inputs.size());
  node.input_ids.reserve(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if ((saved.inputs >> i & 1u) != 0) node.inputs[i] = inputs[i];
    node.input_ids.push_back(inputs[i].id());
  }
  node.outputs.resize(outputs.size());
  node.output_ids.reserve(outputs.size());
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if ((saved.outputs >> i & 1u) != 0) node.outputs[i] = outputs[i];
    node.output_ids.push_back(outputs[i].id());
    if (is_floating(outputs[i].type())) reached_.insert(outputs[i].id());
  }
  node.versions = sum_of_versions(node.inputs) + sum_of_versions(node.outputs);
  nodes_.push_back(std::move(node));
}

void Tape::step_back(const Context& ctx, const Node& node, std::map<std::uint64_t, Tensor>& gradients) const {
  std::vector<Tensor> output_gradients(node.output_ids.size());
  bool any = false;
  for (std::size_t i = 0; i < node.output_ids.size(); ++i) {
    const auto found = gradients.find(node.output_ids[i]);
    if (found == gradients.end()) continue;
    any = true;
    output_gradients[i] = found->second;
    if (watched_.count(node.output_ids[i]) == 0) gradients.erase(found);
  }
  if (!any) return;

  if (sum_of_versions(node.inputs) + sum_of_versions(node.outputs) != node.versions) {
    throw UsageError("[tape] a value that the gradient of " + std::string(node.op->name()) +
                     " needs was overwritten after its use: " + to_string(node.inputs));
  }
  const std::span<const bool> wanted(node.wanted.get(), node.inputs.size());
  const std::vector<Tensor> input_gradients =
      node.op->backward(ctx, {node.inputs, node.outputs, output_gradients, wanted});
  for (std::size_t i = 0; i < input_gradients.size(); ++i) {
    if (wanted[i] && input_gradients[i]) add_to(ctx, gradients, node.input_ids[i], input_gradients[i]);
  }
}

Gradients Tape::backward(const Context& ctx, const Tensor& loss) {
  if (!loss || loss.shape().elements() != 1) {
    throw ShapeError("[tape] expected a loss of one element, got " + to_string({&loss, 1}));
  }
  if (reached_.count(loss.id()) == 0) {
    throw UsageError("[tape] the loss depends on no watched tensor");
  }
  return backward(ctx, loss, Tensor::full(ctx, loss.spec(), 1));
}

Gradients Tape::backward(const Context& ctx, const Tensor& output, const Tensor& output_gradient) {
  if (!output || !output_gradient || output.spec() != output_gradient.spec()) {
    throw ShapeError("[tape] expected an output and a gradient of its shape and type, got " +
                     to_string(std::array{output, output_gradient}));
  }
  const Context run = ctx.recorder() == this ? ctx.with_recorder(behind_) : ctx;

  std::vector<Node> nodes = std::exchange(nodes_, {});
  reached_ = watched_;
  std::map<std::uint64_t, Tensor> gradients;
  gradients[output.id()] = output_gradient;
  while (!nodes.empty()) {
    step_back(run, nodes.back(), gradients);
    nodes.pop_back();
  }

  Gradients result;
  for (auto& [id, gradient] : gradients) {
    if (watched_.count(id) != 0) result.by_id_.emplace(id, std::move(gradient));
  }
  return result;
}

}  // namespace pila
