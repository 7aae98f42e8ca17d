// What an operation is, and the one door through which every operation goes.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "engine/core/context.h"
#include "engine/core/tensor.h"
#include "engine/ops/attributes.h"

namespace pila {

// What a backward pass gets. Tensors that the op did not ask to save are undefined, as are the gradients of
// outputs that nothing depends on.
struct BackwardArgs {
  std::span<const Tensor> inputs;
  std::span<const Tensor> outputs;
  std::span<const Tensor> output_gradients;
  std::span<const bool> wanted;  // by input: whether its gradient is asked for
};

// Bit i stands for input or output i.
struct Saved {
  unsigned inputs = 0;
  unsigned outputs = 0;
};

// One operation with its attributes; immutable, and safe to run from several threads.
class Op {
 public:
  virtual ~Op() = default;
  virtual std::string_view name() const = 0;
  // Output shapes and types; throws ShapeError with what was expected and what came.
  virtual std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const = 0;
  // Computes into outputs that were allocated as infer() said. Not called when all outputs are empty.
  virtual void run(const Context& ctx, std::span<const Tensor> inputs,
                   std::span<const Tensor> outputs) const = 0;
  // Which tensors backward() reads for the gradients of the wanted inputs.
  virtual Saved saved(std::span<const bool> /*wanted*/) const { return {}; }
  // The gradient of each wanted input (undefined where not wanted or where there is none), computed with
  // operations alone, so that it can itself be recorded. Throws UsageError where a gradient exists but is not
  // available; integer tensors never have one.
  virtual std::vector<Tensor> backward(const Context& ctx, const BackwardArgs& args) const = 0;
  // For operations whose output is an input in another shape: run() is not called, outputs share memory.
  virtual bool is_view() const { return false; }
  virtual ops::Attributes attributes() const { return {}; }
  // Whether run() overwrites this input, as updates in place do.
  virtual bool writes(std::size_t /*input*/) const { return false; }
};

// Is told of every operation as it is applied.
class Recorder {
 public:
  virtual ~Recorder() = default;
  virtual void record(const std::shared_ptr<const Op>& op, std::span<const Tensor> inputs,
                      std::span<const Tensor> outputs) = 0;
  // Whether it will ask for the gradients of what is computed from the tensor.
  virtual bool follows(const Tensor&) const { return true; }
  // A tracing recorder takes the operations without running them: outputs are symbolic.
  virtual bool tracing() const { return false; }
};

// Checks, infers, allocates, runs and records one operation. Throws UsageError for undefined inputs or
// symbolic ones outside of tracing, DeviceError for inputs of another device, ShapeError as infer() says,
// Error when the device has no kernel for it.
std::vector<Tensor> apply(const Context& ctx, const std::shared_ptr<const Op>& op,
                          std::span<const Tensor> inputs);

}  // namespace pila
