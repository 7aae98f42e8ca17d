#include "engine/autograd/recompute.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/autograd/tape.h"
#include "engine/core/error.h"

namespace pila {
namespace {

class Recomputed : public Op {
 public:
  Recomputed(const Context& ctx, const Segment& segment, const TensorSpec& output)
      : repeating_(ctx.repetition()), segment_(segment), output_(output) {}
  std::string_view name() const override { return "recomputed"; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec>) const override { return {output_}; }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    outputs[0].assign(ctx, segment_(repeating_, inputs));
  }

  Saved saved(std::span<const bool>) const override { return {~0u, 0}; }

  std::vector<Tensor> backward(const Context& ctx, const BackwardArgs& args) const override {
    Tape tape(ctx.recorder());
    for (std::size_t i = 0; i < args.inputs.size(); ++i) {
      if (args.wanted[i]) tape.watch(args.inputs[i]);
    }
    const Tensor output = segment_(repeating_.with_recorder(&tape), args.inputs);
    const Gradients found = tape.backward(ctx, output, args.output_gradients[0]);
    std::vector<Tensor> gradients(args.inputs.size());
    for (std::size_t i = 0; i < args.inputs.size(); ++i) {
      const auto same = [&](const Tensor& other) { return other.id() == args.inputs[i].id(); };
      // Of an input that is given twice, the first has the gradient of both.
      if (args.wanted[i] && std::ranges::none_of(args.inputs.first(i), same)) {
        gradients[i] = found.of(args.inputs[i]);
      }
    }
    return gradients;
  }

 private:
  const Context repeating_;  // the way back need not know what was trained, dropped and shared
  const Segment segment_;
  const TensorSpec output_;
};

}  // namespace

Tensor recomputed(const Context& ctx, std::span<const Tensor> inputs, const Segment& segment) {
  constexpr std::size_t kMostInputs = std::numeric_limits<decltype(Saved::inputs)>::digits;
  if (inputs.size() > kMostInputs) {
    throw UsageError("[recomputed] expected at most " + std::to_string(kMostInputs) + " inputs, got " +
                     std::to_string(inputs.size()));
  }
  if (ctx.recorder() == nullptr || ctx.tracing()) return segment(ctx, inputs);
  const Context unrecorded = ctx.no_grad();
  const Tensor output = segment(unrecorded, inputs);
  ctx.recorder()->record(std::make_shared<const Recomputed>(unrecorded, segment, output.spec()), inputs,
                         {&output, 1});
  return output;
}

}  // namespace pila
