// Counts with how many shapes each CUDA kernel was run. When all tests of the program have run, the counts
// are printed entry by entry, and a kernel of the table that was never run is a failure.
#pragma once

namespace pila::test {

// To be called once for each set of arguments.
void count_run(const char* kernel);

}  // namespace pila::test
