#include "kernels/reference/reference.h"

namespace pila::kernels::reference {

const KernelTable& table() {
  static const KernelTable instance = [] {
    KernelTable table;
    table.device = "reference";
    return table;
  }();
  return instance;
}

}  // namespace pila::kernels::reference
