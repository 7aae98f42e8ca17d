// What the programs were built from, and for.
#pragma once

#include <string>

namespace pila {

// Lines "0.1.0", "compiler: GNU 12.2.0, Release", "processor: ...", "cuda: ..." and, where the sources are a
// git repository, "commit: ...", without a line's end behind the last.
std::string build_facts();

}  // namespace pila
