#include "apps/core/build_facts.h"

#include "kernels/cpu/cpu.h"
#include "pila_commit.h"

namespace pila {

std::string build_facts() {
  const std::string commit = PILA_COMMIT;
  return PILA_VERSION "\ncompiler: " PILA_COMPILER ", " PILA_BUILD_TYPE "\nprocessor: " PILA_PROCESSOR
                      "\ninstructions: " +
         kernels::cpu::instruction_set() + "\ncuda: " PILA_CUDA_COMPILER +
         (commit.empty() ? "" : "\ncommit: " + commit);
}

}  // namespace pila
