// Runs a piece of work in a child process with limits on time and memory, so that what crashes there (a
// library on a damaged file) is an error here.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace pila {

struct SandboxLimits {
  std::chrono::seconds processor{20};                        // processor time
  std::chrono::seconds wall{60};                             // time on the clock
  std::size_t memory = std::size_t{3} << 30;                 // address space beyond the parent's own, bytes
  std::size_t output = (std::size_t{2} << 30) + (64 << 20);  // what the work may write, bytes
};

struct SandboxResult {
  std::vector<std::byte> output;
  std::string failure;  // empty when the work came to its end: "crashed (signal 11)", "took longer than 60 s"
};

// Calls work(write) in the child; what it writes comes back as output. The child has the parent's memory and
// open files except 0 to 2 (the terminal), and must not return to the parent's code: an exception that leaves
// `work` is a failure. Throws Error when no process can be started.
using SandboxWrite = std::function<void(const void* data, std::size_t bytes)>;
SandboxResult run_in_sandbox(const std::function<void(const SandboxWrite& write)>& work,
                             const SandboxLimits& limits = {});

// Whether `memory` is a limit: not under sanitizers, which reserve terabytes of address space.
bool sandbox_limits_memory();

}  // namespace pila
