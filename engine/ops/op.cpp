#include "engine/ops/op.h"

#include <array>
#include <string>

#include "engine/core/error.h"

namespace pila {
namespace {

std::string prefix(const Op& op) {
  std::string text = "[";
  text.append(op.name()).append("] ");
  return text;
}

void check_inputs(const Context& ctx, const Op& op, std::span<const Tensor> inputs) {
  const bool tracing = ctx.tracing();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Tensor& input = inputs[i];
    if (!input) {
      throw UsageError(prefix(op) + "expected a tensor as input " + std::to_string(i) +
                       ", got an undefined one");
    }
    if (input.symbolic()) {
      if (tracing) continue;
      throw UsageError(prefix(op) + "input " + std::to_string(i) + ", " + input.spec().to_string() +
                       ", is symbolic: it has no values outside of tracing");
    }
    if (input.device() != ctx.device()) {
      throw DeviceError(prefix(op) + "expected inputs on device " + ctx.device()->name() + ", got input " +
                        std::to_string(i) + " on another, " + input.device()->name());
    }
  }
}

// Inputs' specs in one place, without an allocation for the usual few.
class InputSpecs {
 public:
  explicit InputSpecs(std::span<const Tensor> inputs) {
    if (inputs.size() > few_.size()) many_.resize(inputs.size());
    TensorSpec* specs = many_.empty() ? few_.data() : many_.data();
    for (std::size_t i = 0; i < inputs.size(); ++i) specs[i] = inputs[i].spec();
    specs_ = {specs, inputs.size()};
  }
  std::span<const TensorSpec> get() const { return specs_; }

 private:
  std::array<TensorSpec, 8> few_;
  std::vector<TensorSpec> many_;
  std::span<const TensorSpec> specs_;
};

bool all_empty(std::span<const Tensor> tensors) {
  for (const Tensor& tensor : tensors) {
    if (tensor.shape().elements() != 0) return false;
  }
  return !tensors.empty();
}

void run(const Context& ctx, const Op& op, std::span<const Tensor> inputs, std::span<const Tensor> outputs) {
  if (all_empty(outputs)) return;
  for (const Tensor& input : inputs) {
    if (input.shape().elements() == 0) {
      throw ShapeError(prefix(op) + "expected inputs with elements, got " + to_string(inputs));
    }
  }
  op.run(ctx, inputs, outputs);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (op.writes(i)) inputs[i].mark_overwritten();
  }
}

}  // namespace

std::vector<Tensor> apply(const Context& ctx, const std::shared_ptr<const Op>& op,
                          std::span<const Tensor> inputs) {
  check_inputs(ctx, *op, inputs);
  const std::vector<TensorSpec> specs = op->infer(InputSpecs(inputs).get());

  std::vector<Tensor> outputs;
  outputs.reserve(specs.size());
  if (ctx.tracing()) {
    for (const TensorSpec& spec : specs) outputs.push_back(Tensor::symbolic(spec));
  } else if (op->is_view()) {
    outputs.push_back(inputs[0].view(specs[0].shape));
  } else {
    for (const TensorSpec& spec : specs) outputs.push_back(Tensor::empty(ctx, spec));
    run(ctx, *op, inputs, outputs);
  }
  if (ctx.recorder() != nullptr) ctx.recorder()->record(op, inputs, outputs);
  return outputs;
}

}  // namespace pila
