#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <stdexcept>

#include "kernels/cuda/cuda.h"
#include "tests/kernels/cuda/device_under_test.h"
#include "tests/support/random_data.h"

namespace pila::test {
namespace {

using namespace kernels;

TEST(CudaDevice, ListSaysWhyItIsEmpty) {
  const auto list = cuda::list_gpus();
  EXPECT_NE(list.gpus.empty(), list.status.empty());
  for (const auto& gpu : list.gpus) {
    EXPECT_FALSE(gpu.name.empty());
    EXPECT_GT(gpu.major, 0);
    EXPECT_GT(gpu.memory, 0u);
  }
}

TEST(CudaDevice, SaysWhyAGpuCannotBeHad) {
  const auto beyond = static_cast<int>(cuda::list_gpus().gpus.size());
  try {
    cuda::create_device_api(beyond);
    FAIL() << "made a device of GPU " << beyond;
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), testing::MatchesRegex(beyond > 0 ? ".*expected one of the GPUs 0 to .*, got .*"
                                                               : ".cuda. (no|the|there is no) .*"));
  }
}

TEST(CudaDevice, CopiesComeBack) {
  PILA_NEEDS_DEVICE();
  DeviceUnderTest& gpu = device_under_test();
  // Around the 4 MiB that are staged at once.
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{1000}, std::size_t{4} << 20,
                                 (std::size_t{4} << 20) + 1, (std::size_t{13} << 20) + 7}) {
    const auto values = integer_data<std::uint8_t>(size, 1, 0, 255);
    const DeviceBuffer<std::uint8_t> first(values), second(std::vector<std::uint8_t>(size, 0));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first.data()) % 64, 0u);
    gpu.api->copy(second.data(), first.data(), size, gpu.stream());
    gpu.api->synchronize(gpu.stream());
    EXPECT_EQ(second.values(), values) << size << " bytes";
  }
}

TEST(CudaDevice, CapturedWorkIsDoneWhenItIsLaunched) {
  PILA_NEEDS_DEVICE();
  DeviceUnderTest& gpu = device_under_test();
  const auto values = integer_data<std::uint8_t>(1000, 3, 0, 255);
  const DeviceBuffer<std::uint8_t> from(values), to(std::vector<std::uint8_t>(1000, 0));
  gpu.api->synchronize(gpu.stream());
  gpu.api->begin_capture(gpu.stream());
  gpu.api->copy(to.data(), from.data(), 1000, gpu.stream());
  const auto work = gpu.api->end_capture(gpu.stream());
  EXPECT_NE(to.values(), values);
  work->launch(gpu.stream());
  EXPECT_EQ(to.values(), values);
}

TEST(CudaDevice, EventsTellTheTimeOfWork) {
  PILA_NEEDS_DEVICE();
  DeviceUnderTest& gpu = device_under_test();
  const std::vector<std::uint8_t> values(1 << 24);
  const DeviceBuffer<std::uint8_t> from(values), to(values);
  const auto before = gpu.api->create_event(), after = gpu.api->create_event();
  before->record(gpu.stream());
  gpu.api->copy(to.data(), from.data(), 1 << 24, gpu.stream());
  after->record(gpu.stream());
  EXPECT_GT(after->milliseconds_since(*before), 0);
}

TEST(CudaDevice, QueuedCopiesGoThroughHostBuffers) {
  PILA_NEEDS_DEVICE();
  DeviceUnderTest& gpu = device_under_test();
  const HostBuffer buffer = gpu.api->allocate_host(1000);
  const auto values = integer_data<std::uint8_t>(1000, 4, 0, 255);
  const DeviceBuffer<std::uint8_t> there(std::vector<std::uint8_t>(1000, 0));
  std::memcpy(buffer.host, values.data(), 1000);
  gpu.api->queue_upload(there.data(), buffer.host, 1000, gpu.stream());
  EXPECT_EQ(there.values(), values);
  std::memset(buffer.host, 0, 1000);
  gpu.api->queue_download(buffer.host, there.data(), 1000, gpu.stream());
  gpu.api->synchronize(gpu.stream());
  EXPECT_EQ(std::memcmp(buffer.host, values.data(), 1000), 0);
  gpu.api->release_host(buffer);
}

TEST(CudaDevice, TooMuchMemoryIsNull) {
  PILA_NEEDS_DEVICE();
  EXPECT_EQ(device_under_test().api->allocate(cuda::list_gpus().gpus[0].memory * 2), nullptr);
  const auto values = uniform_data<float>(1000, 2);
  EXPECT_EQ(DeviceBuffer<float>(values).values(), values) << "an error that was handled came up again";
}

}  // namespace
}  // namespace pila::test
