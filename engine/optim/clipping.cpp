#include "engine/optim/clipping.h"

#include "engine/ops/support.h"

namespace pila {
namespace {

// In place. Inputs: norm and scale, then the gradients.
class GlobalNorm : public Op {
 public:
  explicit GlobalNorm(double limit) : limit_(limit) {}
  std::string_view name() const override { return "global_norm"; }
  bool writes(std::size_t input) const override { return input < 2; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    ops::check_same_type(name(), inputs);
    if (inputs[0].shape.rank() != 0 || inputs[1].shape.rank() != 0) {
      ops::throw_expected(name(), "a norm and a scale of one number", inputs.first(2));
    }
    return {};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs, std::span<const Tensor>) const override {
    std::vector<kernels::GradientSegment> segments;
    segments.reserve(inputs.size() - 2);
    for (const Tensor& gradient : inputs.subspan(2)) {
      segments.push_back({gradient.data(), gradient.shape().elements()});
    }
    kernels::GradientNorm args;
    args.type = inputs[0].type();
    args.segments = segments.data();
    args.segment_count = static_cast<std::int64_t>(segments.size());
    args.limit = limit_;
    args.norm = inputs[0].data();
    args.scale = inputs[1].data();
    launch(ctx, name(), args, inputs);
  }

  std::vector<Tensor> backward(const Context&, const BackwardArgs&) const override { return {}; }

 private:
  double limit_;
};

}  // namespace

void global_norm(const Context& ctx, std::span<const Tensor> gradients, double limit, const Tensor& norm,
                 const Tensor& scale) {
  std::vector<Tensor> inputs = {norm, scale};
  inputs.insert(inputs.end(), gradients.begin(), gradients.end());
  apply(ctx, std::make_shared<const GlobalNorm>(limit), inputs);
}

}  // namespace pila
