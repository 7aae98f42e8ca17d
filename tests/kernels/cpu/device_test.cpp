#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/cpu/cpu.h"

namespace pila::kernels::cpu {
namespace {

TEST(HostDevice, AllocatesAlignedWritableMemory) {
  const auto device = create_device_api();
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{64}, std::size_t{1000},
                                  (std::size_t{4} << 20) - 1, (std::size_t{4} << 20) + 1}) {
    void* memory = device->allocate(bytes);
    ASSERT_NE(memory, nullptr) << bytes;
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory) % 64, 0u) << bytes;
    std::memset(memory, 1, bytes);
    device->release(memory);
  }
}

TEST(HostDevice, HandsOutNullWhenThereIsNoMemory) {
  const auto device = create_device_api();
  EXPECT_EQ(device->allocate(std::numeric_limits<std::size_t>::max() / 2), nullptr);
}

TEST(HostDevice, CopiesBothWays) {
  const auto device = create_device_api();
  const auto stream = device->create_stream(1);
  const std::vector<int> host = {1, 2, 3};
  std::vector<int> back(3);
  void* first = device->allocate(12);
  void* second = device->allocate(12);
  device->upload(first, host.data(), 12, *stream);
  device->copy(second, first, 12, *stream);
  device->download(back.data(), second, 12, *stream);
  device->synchronize(*stream);
  EXPECT_EQ(back, host);
  device->release(first);
  device->release(second);
}

TEST(InstructionSet, HasAName) { EXPECT_FALSE(instruction_set().empty()); }

}  // namespace
}  // namespace pila::kernels::cpu
