// The GPU that tests run on, where there is one.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <new>
#include <vector>

#include "kernels/cuda/cuda.h"

// Skips the test where there is no GPU.
#define PILA_NEED_GPU()                                                        \
  if (const auto list = pila::kernels::cuda::list_gpus(); list.gpus.empty()) { \
    GTEST_SKIP() << "no GPU: " << list.status;                                 \
  }                                                                            \
  static_cast<void>(0)

namespace pila::test {

// The first GPU with a stream.
struct GpuUnderTest {
  std::unique_ptr<kernels::DeviceApi> api = kernels::cuda::create_device_api(0);
  std::unique_ptr<kernels::Stream> stream = api->create_stream(0);
};

// An array on a GPU.
template <class T>
class GpuBuffer {
 public:
  GpuBuffer(GpuUnderTest& gpu, const std::vector<T>& values)
      : gpu_(gpu), size_(values.size()), memory_(static_cast<T*>(gpu.api->allocate(size_ * sizeof(T)))) {
    if (memory_ == nullptr) throw std::bad_alloc();
    gpu_.api->upload(memory_, values.data(), size_ * sizeof(T), *gpu_.stream);
  }
  ~GpuBuffer() { gpu_.api->release(memory_); }
  GpuBuffer(const GpuBuffer&) = delete;
  GpuBuffer& operator=(const GpuBuffer&) = delete;

  T* data() const { return memory_; }
  std::vector<T> values() const {
    std::vector<T> values(size_);
    gpu_.api->download(values.data(), memory_, size_ * sizeof(T), *gpu_.stream);
    return values;
  }

 private:
  GpuUnderTest& gpu_;
  std::size_t size_;
  T* memory_;
};

}  // namespace pila::test
