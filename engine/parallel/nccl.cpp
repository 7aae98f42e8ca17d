#include "engine/parallel/nccl.h"

#include <dlfcn.h>

#include "engine/core/error.h"

namespace pila {
namespace {

[[noreturn]] void throw_absent() {
  throw DeviceError(std::string("[nccl] ") + dlerror() +
                    "; several GPUs need NCCL 2.7 or newer: install libnccl2, or name its folder in "
                    "LD_LIBRARY_PATH, or start one process");
}

// Never closed: its threads may outlive every use.
void* open(const std::string& name) {
  void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw_absent();
  return library;
}

template <class Function>
void find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (function == nullptr) throw_absent();
}

}  // namespace

Nccl::Nccl(const std::string& name) {
  void* library = open(name);
  find(library, "ncclGetUniqueId", get_unique_id);
  find(library, "ncclCommInitRank", comm_init_rank);
  find(library, "ncclCommAbort", comm_abort);
  find(library, "ncclGroupStart", group_start);
  find(library, "ncclGroupEnd", group_end);
  find(library, "ncclSend", send);
  find(library, "ncclRecv", recv);
  find(library, "ncclGetErrorString", get_error_string);
}

void Nccl::check(int result, const char* call) const {
  if (result == kSuccess) return;
  throw DeviceError(std::string("[nccl] ") + call + ": " + get_error_string(result));
}

}  // namespace pila
