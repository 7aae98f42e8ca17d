#include "kernels/cuda/stream.h"

namespace pila::kernels::cuda {

StagingSlot::StagingSlot() {
  check(cudaEventCreateWithFlags(&done_, cudaEventDisableTiming), "cudaEventCreateWithFlags");
  void* memory = nullptr;
  if (const cudaError_t error = cudaMallocHost(&memory, kBytes); error != cudaSuccess) {
    cudaEventDestroy(done_);
    check(error, "cudaMallocHost");
  }
  memory_ = static_cast<unsigned char*>(memory);
}

// Nothing can be done about what fails in destructors.
StagingSlot::~StagingSlot() {
  cudaEventSynchronize(done_);
  cudaFreeHost(memory_);
  cudaEventDestroy(done_);
}

CudaStream::CudaStream(int architecture) : architecture_(architecture) {
  check(cudaStreamCreateWithFlags(&handle_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
}

CudaStream::~CudaStream() { cudaStreamDestroy(handle_); }

CudaEvent::CudaEvent(FirstFault& fault) : fault_(fault) {
  fault_.check(cudaEventCreate(&handle_), "cudaEventCreate");
}

CudaEvent::~CudaEvent() { cudaEventDestroy(handle_); }

void CudaEvent::record(Stream& stream) {
  fault_.check(cudaEventRecord(handle_, handle_of(stream)), "cudaEventRecord");
}

void CudaEvent::wait() { fault_.check(cudaEventSynchronize(handle_), "cudaEventSynchronize"); }

double CudaEvent::milliseconds_since(Event& earlier) {
  earlier.wait();
  wait();
  float milliseconds = 0;
  fault_.check(cudaEventElapsedTime(&milliseconds, static_cast<const CudaEvent&>(earlier).handle_, handle_),
               "cudaEventElapsedTime");
  return static_cast<double>(milliseconds);
}

CudaGraph::CudaGraph(cudaGraph_t captured, FirstFault& fault) : fault_(fault) {
  const cudaError_t error = cudaGraphInstantiateWithFlags(&handle_, captured, 0);
  cudaGraphDestroy(captured);
  fault_.check(error, "cudaGraphInstantiateWithFlags");
}

CudaGraph::~CudaGraph() { cudaGraphExecDestroy(handle_); }

void CudaGraph::launch(Stream& stream) {
  fault_.check(cudaGraphLaunch(handle_, handle_of(stream)), "cudaGraphLaunch");
}

}  // namespace pila::kernels::cuda
