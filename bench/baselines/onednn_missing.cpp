#include "bench/baselines/library.h"
#include "engine/core/error.h"

namespace pila::bench {

std::unique_ptr<Library> open_onednn(const Context&, int) {
  throw UsageError("--against onednn: this program was built without oneDNN 2 (package libdnnl-dev)");
}

}  // namespace pila::bench
