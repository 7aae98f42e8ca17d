#include "apps/core/memory.h"

#include <unistd.h>

#include <fstream>

namespace pila {

std::int64_t resident_bytes() {
  std::int64_t all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;  // in pages
  return resident * sysconf(_SC_PAGESIZE);
}

}  // namespace pila
