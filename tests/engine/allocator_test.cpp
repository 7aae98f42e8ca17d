#include "engine/core/allocator.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <cstring>
#include <limits>
#include <map>
#include <thread>
#include <vector>

#include "engine/core/error.h"

namespace pila {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

// Host memory with a limit, which counts what is out.
class SmallDevice : public kernels::DeviceApi {
 public:
  explicit SmallDevice(std::size_t limit = std::numeric_limits<std::size_t>::max()) : limit_(limit) {}
  ~SmallDevice() override { EXPECT_TRUE(blocks_.empty()) << "memory was not given back"; }

  void* allocate(std::size_t bytes) override {
    ++calls;
    if (bytes > limit_ - out) return nullptr;
    void* memory = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
    blocks_[memory] = bytes;
    out += bytes;
    return memory;
  }
  void release(void* memory) override {
    const auto found = blocks_.find(memory);
    ASSERT_NE(found, blocks_.end());
    out -= found->second;
    blocks_.erase(found);
    std::free(memory);
  }
  kernels::DeviceMemory memory() override { return {limit_ - out, limit_}; }
  void upload(void*, const void*, std::size_t, kernels::Stream&) override {}
  void download(void*, const void*, std::size_t, kernels::Stream&) override {}
  void copy(void*, const void*, std::size_t, kernels::Stream&) override {}
  std::unique_ptr<kernels::Stream> create_stream(int) override { return std::make_unique<kernels::Stream>(); }
  void synchronize(kernels::Stream&) override {}

  std::size_t out = 0;
  int calls = 0;

 private:
  std::size_t limit_;
  std::map<void*, std::size_t> blocks_;
};

TEST(Allocator, GivesAtLeastWhatIsAskedInMultiplesOf64Bytes) {
  SmallDevice device;
  Allocator allocator(device);
  for (const std::size_t bytes : {1u, 63u, 64u, 65u, 1000u, 1025u, 100'000u, 9'633'793u}) {
    const auto block = allocator.allocate(bytes);
    EXPECT_GE(block.bytes, bytes);
    EXPECT_EQ(block.bytes % 64, 0u);
    EXPECT_LE(block.bytes, bytes + std::max<std::size_t>(63, bytes / 8));
    allocator.release(block);
  }
}

TEST(Allocator, HandsFreedBlocksOutAgain) {
  SmallDevice device;
  Allocator allocator(device);
  const auto first = allocator.allocate(100'000);
  allocator.release(first);
  const auto again = allocator.allocate(99'000);
  EXPECT_EQ(again.memory, first.memory);
  EXPECT_EQ(device.calls, 1);
  allocator.release(again);
}

TEST(Allocator, TakesTheBestFitAndNoneMuchTooLarge) {
  SmallDevice device;
  Allocator allocator(device);
  const auto large = allocator.allocate(1'000'000);
  const auto close = allocator.allocate(850'000);
  allocator.release(large);
  allocator.release(close);

  const auto best = allocator.allocate(840'000);
  EXPECT_EQ(best.memory, close.memory);
  const auto next = allocator.allocate(840'000);  // within a quarter of the large one
  EXPECT_EQ(next.memory, large.memory);
  allocator.release(next);
  const auto small = allocator.allocate(500'000);  // the large one would waste half
  EXPECT_NE(small.memory, large.memory);
  EXPECT_EQ(device.calls, 3);
  allocator.release(best);
  allocator.release(small);
}

TEST(Allocator, CountsBytesInUseAndCached) {
  SmallDevice device;
  Allocator allocator(device);
  const auto a = allocator.allocate(640);
  const auto b = allocator.allocate(64);
  auto statistics = allocator.statistics();
  EXPECT_EQ(statistics.requests, 2u);
  EXPECT_EQ(statistics.device_allocations, 2u);
  EXPECT_EQ(statistics.bytes_in_use, 704u);
  EXPECT_EQ(statistics.bytes_cached, 0u);

  allocator.release(a);
  statistics = allocator.statistics();
  EXPECT_EQ(statistics.bytes_in_use, 64u);
  EXPECT_EQ(statistics.bytes_cached, 640u);
  EXPECT_EQ(statistics.peak_bytes_in_use, 704u);

  const auto again = allocator.allocate(640);
  statistics = allocator.statistics();
  EXPECT_EQ(statistics.requests, 3u);
  EXPECT_EQ(statistics.device_allocations, 2u);
  EXPECT_EQ(statistics.bytes_cached, 0u);
  allocator.release(again);
  allocator.release(b);
}

TEST(Allocator, GivesTheCacheBackWhenAsked) {
  SmallDevice device;
  Allocator allocator(device);
  allocator.release(allocator.allocate(1000));
  EXPECT_GT(device.out, 0u);
  allocator.empty_cache();
  EXPECT_EQ(device.out, 0u);
  EXPECT_EQ(allocator.statistics().bytes_cached, 0u);
}

TEST(Allocator, OfNothingIsAnEmptyBlock) {
  SmallDevice device;
  Allocator allocator(device);
  const auto block = allocator.allocate(0);
  EXPECT_EQ(block.memory, nullptr);
  EXPECT_EQ(block.bytes, 0u);
  allocator.release(block);
  EXPECT_EQ(device.calls, 0);
}

TEST(Allocator, GivesTheCacheBackBeforeItGivesUp) {
  SmallDevice device(10'000);
  Allocator allocator(device);
  allocator.release(allocator.allocate(8'000));
  const auto block = allocator.allocate(1'000);  // the cached block is too large for it, 2,000 bytes are left
  const auto other = allocator.allocate(2'000);  // only fits without the cache
  EXPECT_EQ(allocator.statistics().bytes_cached, 0u);
  allocator.release(block);
  allocator.release(other);
}

TEST(Allocator, SaysHowMuchItCouldNotGet) {
  SmallDevice device(10'000);
  Allocator allocator(device);
  const auto block = allocator.allocate(4'096);
  EXPECT_THAT([&] { allocator.allocate(20'000); },
              ThrowsMessage<DeviceError>(AllOf(HasSubstr("[allocator] out of memory"),
                                               HasSubstr("20000 bytes"), HasSubstr("4096 in use"),
                                               HasSubstr("of the device's 10000 bytes 5904 are free"))));
  EXPECT_EQ(allocator.statistics().bytes_in_use, 4'096u);
  allocator.release(block);
}

TEST(Allocator, RefusesAbsurdSizes) {
  SmallDevice device;
  Allocator allocator(device);
  EXPECT_THROW(allocator.allocate(std::numeric_limits<std::size_t>::max()), DeviceError);
  EXPECT_EQ(device.calls, 0);
}

TEST(AllocatorReserve, KeepsWhatItsThreadGivesBackForThatThread) {
  SmallDevice device;
  Allocator allocator(device);
  allocator.release(allocator.allocate(1'000));  // one in the cache
  {
    Allocator::Reserve reserve(allocator);
    void* memory = nullptr;
    {
      const Allocator::Reserve::Scope scope(reserve);
      const auto block = allocator.allocate(1'000);
      memory = block.memory;
      EXPECT_EQ(device.calls, 1) << "it takes from the cache what it lacks";
      EXPECT_THROW(Allocator::Reserve::Scope again(reserve), UsageError);
      std::thread([&] {  // another thread's blocks stay its own
        const auto other = allocator.allocate(1'000);
        EXPECT_NE(other.memory, memory);
        allocator.release(other);
      })
          .join();
      allocator.release(block);
    }
    const auto outside = allocator.allocate(1'000);
    EXPECT_NE(outside.memory, memory) << "the reserve's block is nobody else's";
    EXPECT_EQ(allocator.statistics().bytes_in_use, 2 * outside.bytes) << "a reserve's blocks are in use";
    allocator.release(outside);
    const Allocator::Reserve::Scope scope(reserve);
    const auto again = allocator.allocate(900);
    EXPECT_EQ(again.memory, memory);
    allocator.release(again);
  }
  EXPECT_EQ(device.calls, 2);
  EXPECT_EQ(allocator.statistics().bytes_in_use, 0u);
  EXPECT_EQ(allocator.statistics().bytes_cached, device.out) << "and go to the cache in the end";
}

TEST(Allocator, GivesEachThreadItsOwnBlocks) {
  SmallDevice device;
  Allocator allocator(device);
  const auto work = [&allocator](unsigned char mark) {
    for (int round = 0; round < 2000; ++round) {
      const std::size_t bytes = 64u * (1 + static_cast<std::size_t>(round % 7));
      const auto block = allocator.allocate(bytes);
      std::memset(block.memory, mark, bytes);
      for (std::size_t i = 0; i < bytes; i += 64) {
        ASSERT_EQ(static_cast<unsigned char*>(block.memory)[i], mark);
      }
      allocator.release(block);
    }
  };
  std::vector<std::thread> threads;
  for (unsigned char mark = 1; mark <= 4; ++mark) threads.emplace_back(work, mark);
  for (auto& thread : threads) thread.join();
  const auto statistics = allocator.statistics();
  EXPECT_EQ(statistics.requests, 8000u);
  EXPECT_EQ(statistics.bytes_in_use, 0u);
  EXPECT_EQ(statistics.bytes_cached, device.out);
}

}  // namespace
}  // namespace pila
