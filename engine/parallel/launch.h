// How a process finds the others that it was started with.
#pragma once

#include <memory>

#include "engine/parallel/communicator.h"

namespace pila {

// What a launcher (mpirun of Open MPI or MPICH, Slurm's srun) says in the environment: which of how many
// processes this is. A single one where there was none.
struct Launched {
  int rank = 0, size = 1;
};
Launched launched();

// The communicator of all processes that were launched together: a SingleProcess, without a call of MPI,
// where there is but one. Throws Error where this build has no MPI, or MPI cannot find the others.
std::unique_ptr<Communicator> join(const Launched& launched);

}  // namespace pila
