#include "kernels/cuda/stream.h"

#include <stdexcept>
#include <string>

namespace pila::kernels::cuda {

void check(cudaError_t error, const char* call) {
  if (error == cudaSuccess) return;
  throw std::runtime_error(std::string("[cuda] ") + call + ": " + cudaGetErrorString(error) + " (" +
                           cudaGetErrorName(error) + ")");
}

StagingSlot::StagingSlot() {
  check(cudaEventCreateWithFlags(&done_, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  void* memory = nullptr;
  if (const cudaError_t error = cudaMallocHost(&memory, kBytes); error != cudaSuccess) {
    cudaEventDestroy(done_);
    check(error, "cudaMallocHost");
  }
  memory_ = static_cast<unsigned char*>(memory);
}

// Nothing can be done about what fails here.
StagingSlot::~StagingSlot() {
  cudaEventSynchronize(done_);
  cudaFreeHost(memory_);
  cudaEventDestroy(done_);
}

void StagingSlot::record(cudaStream_t stream) { check(cudaEventRecord(done_, stream), "cudaEventRecord"); }

void StagingSlot::wait() { check(cudaEventSynchronize(done_), "cudaEventSynchronize"); }

CudaStream::CudaStream() {
  check(cudaStreamCreateWithFlags(&handle_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
}

CudaStream::~CudaStream() { cudaStreamDestroy(handle_); }

}  // namespace pila::kernels::cuda
