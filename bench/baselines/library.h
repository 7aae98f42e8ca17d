// Other people's kernels for the same layers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/layers/call.h"
#include "bench/layers/operands.h"
#include "engine/core/context.h"

namespace pila::bench {

class Library {
 public:
  virtual ~Library() = default;
  virtual std::string name() const = 0;  // with its version
  // All its ways to compute a layer, among which the fastest counts; empty where it has none. Weights are in
  // its favourite layout beforehand.
  virtual std::vector<std::unique_ptr<Call>> calls(const Problem& problem, const Operands& operands) = 0;

  virtual Padding padding() const { return Padding::keras; }  // that it can do
  // Relative error of the factors of its products, beyond the type's own rounding.
  virtual double factor_error(DType) const { return 0; }
};

// On the context's device, with as many threads. Throw UsageError where this program was built without the
// library, where that is for another device, or where it cannot be loaded.
std::unique_ptr<Library> open_onednn(const Context& ctx, int threads);
// TF32: whether float32 factors may be rounded to 10 bits for tensor cores.
std::unique_ptr<Library> open_cudnn(const Context& ctx, bool tf32);

}  // namespace pila::bench
