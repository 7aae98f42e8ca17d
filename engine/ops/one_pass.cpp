#include "engine/ops/one_pass.h"

#include <algorithm>
#include <cstddef>

namespace pila::ops {
namespace {

struct Addresses {
  const void *x, *w, *y, *dy, *scaling;
  void *dx, *dw, *dbias;
};

void set(kernels::MatmulGradients& args, const Addresses& at) {
  args.a = at.x;
  args.b = at.w;
  args.c = at.y;
  args.dc = at.dy;
  args.prologue.scaling = at.scaling;
  args.da = at.dx;
  args.db = at.dw;
  args.dbias = at.dbias;
}

void set(kernels::DepthwiseGradients& args, const Addresses& at) {
  args.x = at.x;
  args.w = at.w;
  args.y = at.y;
  args.dy = at.dy;
  args.prologue.scaling = at.scaling;
  args.dx = at.dx;
  args.dw = at.dw;
  args.dbias = at.dbias;
}

std::int64_t channels_of(const kernels::MatmulGradients& args) { return args.n; }
std::int64_t channels_of(const kernels::DepthwiseGradients& args) { return args.shape.out_c; }

constexpr const char* name_of(const kernels::MatmulGradients*) { return "matmul_gradients"; }
constexpr const char* name_of(const kernels::DepthwiseGradients*) { return "depthwise_gradients"; }

// Inputs: x, w, dy, then y and scaling where there are such.
template <class Args>
class OnePass : public Op {
 public:
  OnePass(const Args& args, const WantedGradients& wanted, bool has_y, bool has_scaling)
      : args_(args), wanted_(wanted), has_y_(has_y), has_scaling_(has_scaling) {}
  std::string_view name() const override { return name_of(static_cast<const Args*>(nullptr)); }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    std::vector<TensorSpec> outputs;
    if (wanted_.x) outputs.push_back(inputs[0]);
    if (wanted_.w) outputs.push_back(inputs[1]);
    if (wanted_.bias) outputs.push_back({{channels_of(args_)}, channel_type(inputs[0].type)});
    return outputs;
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    std::size_t output = 0;
    const auto next = [&](bool is_wanted) { return is_wanted ? outputs[output++].data() : nullptr; };
    Addresses at;
    at.x = inputs[0].data();
    at.w = inputs[1].data();
    at.dy = inputs[2].data();
    at.y = has_y_ ? inputs[3].data() : nullptr;
    at.scaling = has_scaling_ ? inputs.back().data() : nullptr;
    at.dx = next(wanted_.x);
    at.dw = next(wanted_.w);
    at.dbias = next(wanted_.bias);
    Args args = args_;
    set(args, at);
    launch(ctx, name(), args, inputs);
  }

  std::vector<Tensor> backward(const Context&, const BackwardArgs&) const override {
    throw_no_gradient(name(), "of gradients made in one pass (the second derivative)");
  }

 private:
  Args args_;
  WantedGradients wanted_;
  bool has_y_, has_scaling_;
};

template <class Args>
bool has_kernel(const Context& ctx, Args args, const ForGradients& from, const WantedGradients& wanted) {
  alignas(64) static std::byte somewhere{};
  const auto present = [](bool is) -> void* { return is ? &somewhere : nullptr; };
  set(args, {&somewhere, &somewhere, present(from.y.defined()), &somewhere, present(from.scaling.defined()),
             present(wanted.x), present(wanted.w), present(wanted.bias)});
  return kernels::entry_of(ctx.kernels(), &args).select(args) != nullptr;
}

template <class Args>
std::array<Tensor, 3> gradients(const Context& ctx, Args args, const ForGradients& from,
                                const WantedGradients& wanted) {
  args.type = from.dy.type();
  if (ctx.recorder() != nullptr || !wanted.x || !wanted.w || !has_kernel(ctx, args, from, wanted)) return {};
  std::vector<Tensor> inputs = {from.x, from.w, from.dy};
  if (from.y) inputs.push_back(from.y);
  if (from.scaling) inputs.push_back(from.scaling);
  const auto op =
      std::make_shared<const OnePass<Args>>(args, wanted, from.y.defined(), from.scaling.defined());
  std::vector<Tensor> outputs = apply(ctx, op, inputs);
  std::array<Tensor, 3> result;
  auto next = outputs.begin();
  if (wanted.x) result[0] = std::move(*next++);
  if (wanted.w) result[1] = std::move(*next++);
  if (wanted.bias) result[2] = std::move(*next++);
  return result;
}

}  // namespace

std::array<Tensor, 3> one_pass_gradients(const Context& ctx, const kernels::MatmulGradients& args,
                                         const ForGradients& from, const WantedGradients& wanted) {
  return gradients(ctx, args, from, wanted);
}

std::array<Tensor, 3> one_pass_gradients(const Context& ctx, const kernels::DepthwiseGradients& args,
                                         const ForGradients& from, const WantedGradients& wanted) {
  return gradients(ctx, args, from, wanted);
}

}  // namespace pila::ops
