// Where there is no MPI.
#include <string>

#include "engine/core/error.h"
#include "engine/parallel/launch.h"

namespace pila {

std::unique_ptr<Communicator> join(const Launched& launched) {
  if (launched.size == 1) return std::make_unique<SingleProcess>();
  throw Error(
      "was started as one of " + std::to_string(launched.size) +
      " processes, and this build of Pila has no MPI to connect them; install libopenmpi-dev and build "
      "anew, or start one process");
}

}  // namespace pila
