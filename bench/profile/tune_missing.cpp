#include "bench/profile/profile.h"
#include "engine/core/error.h"

namespace pila::bench {

void tune_products(const Context&, const ProfileOptions&, const std::vector<Precision>&) {
  throw UsageError("--tune: this program was built without CUDA");
}

}  // namespace pila::bench
