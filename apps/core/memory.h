// How much memory the program has.
#pragma once

#include <cstdint>

namespace pila {

// Bytes of this process that are in memory now; 0 where the system does not tell.
std::int64_t resident_bytes();

}  // namespace pila
