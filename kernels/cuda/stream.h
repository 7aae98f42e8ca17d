// A CUDA stream and the pinned memory through which the host's data reaches it.
#pragma once

#include <cuda_runtime_api.h>

#include <array>
#include <cstddef>

#include "kernels/device_api.h"

namespace pila::kernels::cuda {

// Throws std::runtime_error unless the call went well; the message names the call.
void check(cudaError_t error, const char* call);

// Pinned memory for one copy at a time.
class StagingSlot {
 public:
  static constexpr std::size_t kBytes = std::size_t{4} << 20;

  StagingSlot();
  ~StagingSlot();
  StagingSlot(const StagingSlot&) = delete;
  StagingSlot& operator=(const StagingSlot&) = delete;

  unsigned char* memory() const { return memory_; }
  // Marks the copies queued so far as those that wait() waits for.
  void record(cudaStream_t stream);
  void wait();

 private:
  unsigned char* memory_ = nullptr;
  cudaEvent_t done_ = nullptr;
};

class CudaStream final : public Stream {
 public:
  // On the current device.
  CudaStream();
  ~CudaStream() override;
  CudaStream(const CudaStream&) = delete;
  CudaStream& operator=(const CudaStream&) = delete;

  cudaStream_t handle() const { return handle_; }
  // Two, so that one is filled or emptied while the other one's copy is under way.
  std::array<StagingSlot, 2>& staging() { return staging_; }

 private:
  std::array<StagingSlot, 2> staging_;
  cudaStream_t handle_ = nullptr;
};

inline cudaStream_t handle_of(const Stream& stream) {
  return static_cast<const CudaStream&>(stream).handle();
}

}  // namespace pila::kernels::cuda
