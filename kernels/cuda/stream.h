// CUDA's streams, events and graphs, and the pinned memory through which the host's data reaches a stream.
#pragma once

#include <cuda_runtime_api.h>

#include <array>
#include <cstddef>
#include <optional>

#include "kernels/cuda/fault.h"
#include "kernels/device_api.h"

namespace pila::kernels::cuda {

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
  cudaError_t record(cudaStream_t stream) { return cudaEventRecord(done_, stream); }
  cudaError_t wait() { return cudaEventSynchronize(done_); }

 private:
  unsigned char* memory_ = nullptr;
  cudaEvent_t done_ = nullptr;
};

class CudaStream final : public Stream {
 public:
  // On the current device, whose architecture is given: 90 is compute capability 9.0.
  explicit CudaStream(int architecture);
  ~CudaStream() override;
  CudaStream(const CudaStream&) = delete;
  CudaStream& operator=(const CudaStream&) = delete;

  void* native_handle() const override { return handle_; }
  cudaStream_t handle() const { return handle_; }
  int architecture() const { return architecture_; }
  // Two, so that one is filled or emptied while the other one's copy is under way.
  std::array<StagingSlot, 2>& staging() { return staging_ ? *staging_ : staging_.emplace(); }

 private:
  std::optional<std::array<StagingSlot, 2>> staging_;
  cudaStream_t handle_ = nullptr;
  const int architecture_;
};

inline cudaStream_t handle_of(const Stream& stream) {
  return static_cast<const CudaStream&>(stream).handle();
}

class CudaEvent final : public Event {
 public:
  // On the current device. `fault` lives as long.
  explicit CudaEvent(FirstFault& fault);
  ~CudaEvent() override;
  CudaEvent(const CudaEvent&) = delete;
  CudaEvent& operator=(const CudaEvent&) = delete;

  void record(Stream& stream) override;
  void wait() override;
  double milliseconds_since(Event& earlier) override;

 private:
  FirstFault& fault_;
  cudaEvent_t handle_ = nullptr;
};

class CudaGraph final : public CapturedWork {
 public:
  // Takes over what a stream captured. `fault` lives as long.
  CudaGraph(cudaGraph_t captured, FirstFault& fault);
  ~CudaGraph() override;
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;

  void launch(Stream& stream) override;

 private:
  FirstFault& fault_;
  cudaGraphExec_t handle_ = nullptr;
};

}  // namespace pila::kernels::cuda
