#include "engine/optim/clipping.h"

#include "engine/ops/support.h"

namespace pila {
namespace {

// In place. Inputs: norm, scale and, where there is one, the loss scale, then the gradients.
class GlobalNorm : public Op {
 public:
  GlobalNorm(double limit, bool scaled) : limit_(limit), scaled_(scaled) {}
  std::string_view name() const override { return "global_norm"; }
  bool writes(std::size_t input) const override { return input < 2; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    ops::check_same_type(name(), inputs);
    for (const TensorSpec& number : inputs.first(first())) {
      if (number.shape.rank() == 0) continue;
      ops::throw_expected(name(), "norm and scales of one number each", inputs.first(first()));
    }
    return {};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs, std::span<const Tensor>) const override {
    std::vector<kernels::GradientSegment> segments;
    segments.reserve(inputs.size() - first());
    for (const Tensor& gradient : inputs.subspan(first())) {
      segments.push_back({gradient.data(), gradient.shape().elements()});
    }
    kernels::GradientNorm args;
    args.type = inputs[0].type();
    args.segments = segments.data();
    args.segment_count = static_cast<std::int64_t>(segments.size());
    args.limit = limit_;
    args.loss_scale = scaled_ ? inputs[2].data() : nullptr;
    args.norm = inputs[0].data();
    args.scale = inputs[1].data();
    launch(ctx, name(), args, inputs);
  }

  std::vector<Tensor> backward(const Context&, const BackwardArgs&) const override { return {}; }

 private:
  std::size_t first() const { return scaled_ ? 3 : 2; }  // gradient

  double limit_;
  bool scaled_;
};

}  // namespace

void global_norm(const Context& ctx, std::span<const Tensor> gradients, double limit, const Tensor& norm,
                 const Tensor& scale, const Tensor& loss_scale) {
  std::vector<Tensor> inputs = {norm, scale};
  if (loss_scale) inputs.push_back(loss_scale);
  inputs.insert(inputs.end(), gradients.begin(), gradients.end());
  apply(ctx, std::make_shared<const GlobalNorm>(limit, loss_scale.defined()), inputs);
}

}  // namespace pila
