#include "bench/baselines/library.h"
#include "engine/core/error.h"

namespace pila::bench {

std::unique_ptr<Library> open_cudnn(const Context&, bool) {
  throw UsageError("--against cudnn: this program was built without CUDA, or without cuDNN's headers");
}

}  // namespace pila::bench
