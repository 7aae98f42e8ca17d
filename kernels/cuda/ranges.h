// Names for stretches of a thread's time, as NVIDIA's profilers show them; nothing where the toolkit came
// without NVTX.
#pragma once

#include <string>
#include <string_view>

#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>

namespace pila::kernels::cuda {

inline void push_range(std::string_view name) { nvtxRangePushA(std::string(name).c_str()); }
inline void pop_range() { nvtxRangePop(); }

}  // namespace pila::kernels::cuda
#else
namespace pila::kernels::cuda {

inline void push_range(std::string_view) {}
inline void pop_range() {}

}  // namespace pila::kernels::cuda
#endif
