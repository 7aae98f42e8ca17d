// Graphs of cuDNN operations for one layer, and the engines that can run them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/baselines/cudnn_api.h"
#include "bench/layers/operands.h"

namespace pila::bench {

// By which a graph's tensors are bound to memory.
enum class Role : std::int64_t { x = 1, w, y, bias, residual, sums };

// Which of a layer's operations a graph has: all, or, where no engine does them at once, sums first and what
// follows on them second.
enum class Stage { whole, sums, epilogue };

// An engine with its choices made, ready for any memory.
struct CudnnPlan {
  std::shared_ptr<const void> graph;  // the plan refers to it
  Descriptor configuration, plan;
  std::size_t workspace = 0;  // bytes
  std::string name;
  std::vector<Role> roles;
};

// Every engine that heuristics propose (modes A, B and fallback) and that can be built, within
// `most_workspace` bytes. Empty where there is none; `why` says then what the last refusal was. TF32: see
// open_cudnn().
std::vector<std::shared_ptr<const CudnnPlan>> find_plans(const CudnnHandle& handle, const Problem& problem,
                                                         Stage stage, bool tf32, std::size_t most_workspace,
                                                         std::string& why);

}  // namespace pila::bench
