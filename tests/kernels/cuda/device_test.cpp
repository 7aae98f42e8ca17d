#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
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

TEST(CudaDevice, ErrorsNameTheCall) {
  const auto beyond = static_cast<int>(cuda::list_gpus().gpus.size());
  try {
    cuda::create_device_api(beyond);
    FAIL() << "made a device of GPU " << beyond;
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), testing::StartsWith("[cuda] cudaSetDevice: "));
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

TEST(CudaDevice, TooMuchMemoryIsNull) {
  PILA_NEEDS_DEVICE();
  EXPECT_EQ(device_under_test().api->allocate(cuda::list_gpus().gpus[0].memory * 2), nullptr);
  const auto values = uniform_data<float>(1000, 2);
  EXPECT_EQ(DeviceBuffer<float>(values).values(), values) << "an error that was handled came up again";
}

}  // namespace
}  // namespace pila::test
