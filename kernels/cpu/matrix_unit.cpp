#include "kernels/cpu/matrix_unit.h"

#if defined(__x86_64__) && defined(__linux__)

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace pila::kernels::cpu {
namespace {

bool is_wanted() {
  const char* value = std::getenv("PILA_MATRIX_UNIT");
  return value == nullptr || std::string_view(value) != "0";
}

bool is_there() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kBFloat16 = 1u << 22, kTiles = 1u << 24, kInt8 = 1u << 25,
                     kAll = kBFloat16 | kTiles | kInt8;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kAll) == kAll;
}

// Linux saves the tiles of those processes alone that have asked for it.
bool is_lent() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

bool is_matrix_unit_lent() { return is_wanted() && is_there() && is_lent(); }

}  // namespace pila::kernels::cpu

#else

namespace pila::kernels::cpu {

bool is_matrix_unit_lent() { return false; }

}  // namespace pila::kernels::cpu

#endif
