// What the CUDA kernels are tested on. The same tests are linked twice: with the emulation of tests/simt,
// which runs everywhere, and with a GPU.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "kernels/kernel_table.h"

// Skips the test where there is no GPU to run it on.
#define PILA_NEEDS_DEVICE()                                                        \
  if (const auto& lacks = pila::test::device_under_test().lacks; !lacks.empty()) { \
    GTEST_SKIP() << "no GPU: " << lacks;                                           \
  }                                                                                \
  static_cast<void>(0)

namespace pila::test {

struct DeviceUnderTest {
  std::string lacks;                            // why there is no such device; empty where there is one
  const kernels::KernelTable* table = nullptr;  // of CUDA kernels
  std::unique_ptr<kernels::DeviceApi> api;
  std::vector<std::unique_ptr<kernels::Stream>> streams;  // a kernel gives the same bits in each

  kernels::Stream& stream() const { return *streams.front(); }
};

DeviceUnderTest& device_under_test();

// An array on the device under test.
template <class T>
class DeviceBuffer {
 public:
  explicit DeviceBuffer(const std::vector<T>& values)
      : size_(values.size()), memory_(static_cast<T*>(device_.api->allocate(size_ * sizeof(T)))) {
    if (memory_ == nullptr) throw std::bad_alloc();
    upload(values);
  }
  ~DeviceBuffer() {
    if (memory_ != nullptr) device_.api->release(memory_);
  }
  DeviceBuffer(DeviceBuffer&& other) noexcept
      : size_(other.size_), memory_(std::exchange(other.memory_, nullptr)) {}
  DeviceBuffer& operator=(DeviceBuffer&&) = delete;

  T* data() const { return memory_; }
  std::size_t size() const { return size_; }
  void upload(const std::vector<T>& values) {
    device_.api->upload(memory_, values.data(), size_ * sizeof(T), device_.stream());
  }
  std::vector<T> values() const {
    std::vector<T> values(size_);
    device_.api->download(values.data(), memory_, size_ * sizeof(T), device_.stream());
    return values;
  }

 private:
  DeviceUnderTest& device_ = device_under_test();
  std::size_t size_;
  T* memory_;
};

}  // namespace pila::test
