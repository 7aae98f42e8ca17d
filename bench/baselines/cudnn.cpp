// cuDNN 9 on an NVIDIA GPU: every engine that it proposes for a layer in NHWC.
#include <algorithm>
#include <cstdio>
#include <map>

#include "bench/baselines/cudnn_graph.h"
#include "bench/baselines/library.h"
#include "kernels/cuda/stream.h"

namespace pila::bench {
namespace {

constexpr std::int64_t kMostWorkspace = std::int64_t{256} << 20;  // bytes

// Weights of [kernel, kernel, in, out] as [out, kernel, kernel, in], which cuDNN takes, or back again.
std::vector<float> transposed(const std::vector<float>& weights, std::size_t rows, std::size_t columns) {
  std::vector<float> result(weights.size());
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) result[c * rows + r] = weights[r * columns + c];
  }
  return result;
}

using Memory = std::map<Role, Tensor>;

// One engine on one layer's memory.
class EngineCall : public Call {
 public:
  EngineCall(const CudnnHandle& handle, std::shared_ptr<const CudnnPlan> plan, const Memory& memory,
             const Tensor& workspace)
      : handle_(handle),
        plan_(std::move(plan)),
        memory_(memory),
        workspace_(workspace),
        pack_(handle.api(), CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, "variant pack") {
    std::vector<std::int64_t> ids;
    std::vector<void*> addresses;
    for (const Role role : plan_->roles) {
      ids.push_back(static_cast<std::int64_t>(role));
      addresses.push_back(memory_.at(role).data());
    }
    pack_.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids)
        .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, addresses)
        .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, workspace_.data())
        .finalize();
  }
  std::string name() const override { return plan_->name; }
  void run() override {
    const CudnnApi& api = handle_.api();
    api.check(api.execute(handle_.get(), plan_->plan.handle(), pack_.handle()), plan_->name);
  }

 private:
  const CudnnHandle& handle_;
  std::shared_ptr<const CudnnPlan> plan_;
  Memory memory_;
  Tensor workspace_;
  Descriptor pack_;
};

// Lays a filter's gradient out as ours is.
class FilterGradientCall : public Call {
 public:
  FilterGradientCall(const Context& ctx, std::unique_ptr<Call> call, const Tensor& theirs, const Tensor& ours,
                     std::size_t out)
      : ctx_(ctx), call_(std::move(call)), theirs_(theirs), ours_(ours), out_(out) {}
  std::string name() const override { return call_->name(); }
  void run() override { call_->run(); }
  void deliver() override {
    run();
    const auto values = values_of(ctx_, theirs_);
    ours_.assign(
        ctx_, tensor_from(ctx_, ours_.shape(), ours_.type(), transposed(values, out_, values.size() / out_)));
  }

 private:
  Context ctx_;
  std::unique_ptr<Call> call_;
  Tensor theirs_, ours_;
  std::size_t out_;
};

class Cudnn : public Library {
 public:
  Cudnn(const Context& ctx, bool tf32)
      : ctx_(ctx),
        tf32_(tf32),
        handle_(api_, kernels::cuda::handle_of(ctx.stream())),
        workspace_(Tensor::empty(ctx, {{kMostWorkspace}, DType::u8})) {}

  std::string name() const override {
    const std::size_t version = api_.get_version();
    return "cuDNN " + std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
           std::to_string(version % 100) + (tf32_ ? " with TF32" : "");
  }
  // Few engines pad at one side alone.
  Padding padding() const override { return Padding::symmetric; }
  double factor_error(DType type) const override { return tf32_ && type == DType::f32 ? 0x1p-10 : 0; }

  std::vector<std::unique_ptr<Call>> calls(const Problem& problem, const Operands& operands) override {
    const Memory memory = memory_of(problem, operands);
    std::vector<std::unique_ptr<Call>> calls;
    for (auto& plan : plans(problem, Stage::whole)) add(calls, problem, operands, {plan}, memory);
    // Engines for one operation alone may be faster together, and are all that depthwise convolutions have on
    // some GPUs.
    const bool is_depthwise = problem.layer.kind == LayerKind::depthwise;
    if (problem.direction == Direction::forward && (is_depthwise || calls.empty())) {
      const Plans& epilogues = plans(problem, Stage::epilogue);
      for (auto& sums : epilogues.empty() ? Plans() : plans(problem, Stage::sums)) {
        add(calls, problem, operands, {sums, epilogues.front()}, memory);
      }
    }
    if (calls.empty()) {
      std::fprintf(stderr, "%s, %s: cuDNN has no engine: %s\n", problem.layer.name.c_str(),
                   name_of(problem.direction).c_str(), why_.c_str());
    }
    return calls;
  }

 private:
  using Plans = std::vector<std::shared_ptr<const CudnnPlan>>;

  // Building plans compiles: layers of one shape share them.
  const Plans& plans(const Problem& problem, Stage stage) {
    const LayerShape& layer = problem.layer;
    const Key key = {static_cast<std::int64_t>(layer.kind),
                     layer.in_size,
                     layer.in_channels,
                     layer.out_channels,
                     layer.kernel,
                     layer.stride,
                     layer.relu6,
                     layer.residual,
                     static_cast<std::int64_t>(problem.direction),
                     problem.batch,
                     static_cast<std::int64_t>(problem.type),
                     static_cast<std::int64_t>(stage)};
    const auto known = plans_.find(key);
    if (known != plans_.end()) return known->second;
    why_ = "none is proposed in this precision";
    Plans found = find_plans(handle_, problem, stage, tf32_, kMostWorkspace, why_);
    return plans_.emplace(key, std::move(found)).first->second;
  }

  Memory memory_of(const Problem& problem, const Operands& operands) const {
    const auto out = static_cast<std::size_t>(problem.layer.out_channels);
    const auto weights = values_of(ctx_, operands.w);
    Memory memory = {{Role::x, operands.x}, {Role::y, operands.y}, {Role::bias, operands.bias}};
    memory[Role::w] = tensor_from(ctx_, operands.w.shape(), operands.w.type(),
                                  transposed(weights, weights.size() / out, out));
    memory[Role::residual] = operands.residual;
    memory[Role::sums] = Tensor::zeros(ctx_, operands.y.spec());
    return memory;
  }

  // Adds the plans' calls, one after the other, where they run at all.
  void add(std::vector<std::unique_ptr<Call>>& calls, const Problem& problem, const Operands& operands,
           const Plans& stages, const Memory& memory) {
    try {
      std::vector<std::unique_ptr<Call>> parts;
      for (const auto& plan : stages) {
        parts.push_back(std::make_unique<EngineCall>(handle_, plan, memory, workspace_));
      }
      std::unique_ptr<Call> call = std::make_unique<Chain>(std::move(parts));
      call->run();
      ctx_.device()->api().synchronize(ctx_.stream());
      if (problem.direction == Direction::filter_gradient) {
        call = std::make_unique<FilterGradientCall>(ctx_, std::move(call), memory.at(Role::w), operands.w,
                                                    static_cast<std::size_t>(problem.layer.out_channels));
      }
      calls.push_back(std::move(call));
    } catch (const CudnnError& error) {  // refused when it was run: another engine may do
      why_ = error.what();
    }
  }

  using Key = std::vector<std::int64_t>;

  Context ctx_;
  bool tf32_;
  CudnnApi api_;
  CudnnHandle handle_;
  Tensor workspace_;  // of one call at a time
  std::map<Key, Plans> plans_;
  std::string why_;  // the last refusal
};

}  // namespace

std::unique_ptr<Library> open_cudnn(const Context& ctx, bool tf32) {
  if (ctx.device()->name() == "cpu") throw UsageError("--against cudnn: --device cuda is expected, got cpu");
  return std::make_unique<Cudnn>(ctx, tf32);
}

}  // namespace pila::bench
