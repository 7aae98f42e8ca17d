// Linked into a test program, counts what each thread asks the heap for by `new`.
#pragma once

#include <cstddef>

namespace pila::test {

std::size_t allocations_of_this_thread();

}  // namespace pila::test
