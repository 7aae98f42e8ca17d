// The functions of NCCL that Pila calls, loaded when they are needed.
#pragma once

#include <cstddef>
#include <string>

namespace pila {

// As NCCL declares them since 2.7, which was the first with ncclSend; its enumerations are int here.
struct Nccl {
  using Comm = void*;    // ncclComm_t
  using Stream = void*;  // cudaStream_t
  struct UniqueId {
    char bytes[128];
  };
  static constexpr int kSuccess = 0, kFloat32 = 7;

  // Throws DeviceError, which says what to install, where there is no such library, or one without these.
  explicit Nccl(const std::string& library = "libnccl.so.2");

  int (*get_unique_id)(UniqueId* id) = nullptr;
  int (*comm_init_rank)(Comm* comm, int size, UniqueId id, int rank) = nullptr;
  int (*comm_abort)(Comm comm) = nullptr;
  int (*group_start)() = nullptr;
  int (*group_end)() = nullptr;
  int (*send)(const void* values, std::size_t count, int type, int to, Comm comm, Stream stream) = nullptr;
  int (*recv)(void* values, std::size_t count, int type, int from, Comm comm, Stream stream) = nullptr;
  const char* (*get_error_string)(int result) = nullptr;

  // Throws DeviceError with NCCL's own words unless the call went well.
  void check(int result, const char* call) const;
};

}  // namespace pila
