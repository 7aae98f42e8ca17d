// Kernels that break one rule each, beside the same kernel in order: the emulation must tell them apart.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "kernels/cuda/device/copy_async.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/mma.cuh"
#include "kernels/cuda/device/pack.cuh"
#include "tests/simt/memory.h"
#include "tests/support/compare.h"

namespace pila::simt {
namespace {

using kernels::Float16;
using kernels::cuda::commit_copies;
using kernels::cuda::copy_async;
using kernels::cuda::FragmentA;
using kernels::cuda::Grid;
using kernels::cuda::launch;
using kernels::cuda::load_transposed_matrices;
using kernels::cuda::multiply_add;
using kernels::cuda::Pack;
using kernels::cuda::shared_memory;
using kernels::cuda::store_pack;
using kernels::cuda::Sums;
using kernels::cuda::wait_for_copies;
using testing::HasSubstr;

constexpr unsigned kThreads = 96, kBlocks = 3;

// The numbers 0, 1, 2 ... in an array of a device.
class Floats {
 public:
  explicit Floats(std::size_t size)
      : size_(size), data_(static_cast<float*>(api_->allocate(size * sizeof(float)))) {
    std::iota(data_, data_ + size, 0.0f);
  }
  ~Floats() { api_->release(data_); }
  Floats(const Floats&) = delete;
  Floats& operator=(const Floats&) = delete;

  float* data() const { return data_; }
  std::vector<float> values() const { return {data_, data_ + size_}; }

 private:
  std::unique_ptr<kernels::DeviceApi> api_ = create_device_api();
  std::size_t size_;
  float* data_;
};

// What a kernel of one argument makes of such an array under a schedule.
struct Outcome {
  std::string status;  // empty where all went well
  std::vector<float> y;
};

template <class Kernel>
Outcome run(Kernel kernel, const Schedule& schedule, unsigned threads = kThreads) {
  const Floats y(std::size_t{kBlocks} * kThreads);
  Stream stream(schedule);
  const Grid grid{dim3(kBlocks), dim3(threads), kThreads * sizeof(float)};
  const kernels::Status status = launch(kernel, grid, {&stream}, y.data());
  return {status == nullptr ? "" : status, y.values()};
}

template <class Kernel>
void expect_fault(Kernel kernel, const std::string& text) {
  for (const Schedule& schedule : kSchedules) EXPECT_THAT(run(kernel, schedule).status, HasSubstr(text));
}

// In all schedules without a fault; whether with the same bits.
template <class Kernel>
bool agrees_with_itself(Kernel kernel) {
  const Outcome first = run(kernel, kSchedules[0]);
  EXPECT_EQ(first.status, "");
  bool agrees = true;
  for (const Schedule& schedule : kSchedules) {
    const Outcome other = run(kernel, schedule);
    EXPECT_EQ(other.status, "");
    agrees = agrees && test::same_bits(other.y, first.y);
  }
  return agrees;
}

std::size_t place() { return std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; }

// ---- barriers and shared memory

enum class Reversal { right, without_barrier, past_barrier, two_barriers, early_return, unwritten, beyond };

// Turns the order of a block's threads round by way of shared memory.
template <Reversal kKind>
__global__ void reverse(float* y) {
  auto* memory = shared_memory<float>();
  const unsigned thread = threadIdx.x, last = blockDim.x - 1;
  if (kKind == Reversal::early_return && thread == 40) return;
  if (kKind != Reversal::unwritten || thread != 7) memory[thread] = static_cast<float>(thread);
  if (kKind == Reversal::two_barriers && thread < 32) {
    __syncthreads();
  } else if (kKind != Reversal::without_barrier && (kKind != Reversal::past_barrier || thread != 95)) {
    __syncthreads();
  }
  y[place()] = memory[last - thread];
}

TEST(BrokenKernels, RightOnesPass) { EXPECT_TRUE(agrees_with_itself(reverse<Reversal::right>)); }

TEST(BrokenKernels, AMissingBarrierChangesTheBits) {
  EXPECT_FALSE(agrees_with_itself(reverse<Reversal::without_barrier>));
}

TEST(BrokenKernels, SharedMemoryReadBeforeItWasWrittenChangesTheBits) {
  EXPECT_FALSE(agrees_with_itself(reverse<Reversal::unwritten>));
}

TEST(BrokenKernels, DivergentBarriersAreFaults) {
  expect_fault(reverse<Reversal::past_barrier>, "divergent barrier");
  expect_fault(reverse<Reversal::early_return>, "divergent barrier");
  expect_fault(reverse<Reversal::two_barriers>, "divergent barrier");
}

TEST(BrokenKernels, AFaultLeavesTheEmulationUsable) {
  expect_fault(reverse<Reversal::early_return>, "divergent barrier");
  EXPECT_TRUE(agrees_with_itself(reverse<Reversal::right>));
}

// Two phases that share memory: the second overwrites what the first may still be reading.
template <bool kWaits>
__global__ void exchange_twice(float* y) {
  auto* memory = shared_memory<float>();
  const unsigned thread = threadIdx.x, other = blockDim.x - 1 - thread;
  memory[thread] = static_cast<float>(thread);
  __syncthreads();
  const float first = memory[other];
  if (kWaits) __syncthreads();
  memory[thread] = 2 * first;
  __syncthreads();
  y[place()] = memory[other];
}

TEST(BrokenKernels, OverwritingWhatOthersReadChangesTheBits) {
  EXPECT_TRUE(agrees_with_itself(exchange_twice<true>));
  EXPECT_FALSE(agrees_with_itself(exchange_twice<false>));
}

// Every block adds to what the one before it may have left.
__global__ void depend_on_block_order(float* y) {
  y[place()] = blockIdx.x == 0 ? 1 : y[place() - blockDim.x] + 1;
}

TEST(BrokenKernels, DependingOnOtherBlocksChangesTheBits) {
  EXPECT_FALSE(agrees_with_itself(depend_on_block_order));
}

// ---- warps

enum class Shuffle { right, lane_left_out, lane_ended, foreign_lane, other_operation };

template <Shuffle kKind>
__global__ void sum_of_warp(float* y) {
  const unsigned lane = threadIdx.x % 32;
  if (kKind == Shuffle::lane_ended && lane == 3) return;
  float sum = static_cast<float>(threadIdx.x);
  if (kKind == Shuffle::lane_left_out && lane == 31) {
    y[place()] = 0;
    __syncthreads();
    return;
  }
  if (kKind == Shuffle::other_operation && lane == 5) __syncwarp();
  const unsigned mask =
      kKind == Shuffle::foreign_lane ? (lane < 16 ? 0x0000FFFFu : 0xFFFF0000u) : 0xFFFFFFFFu;
  for (int flipped = 16; flipped > 0; flipped /= 2) sum += __shfl_xor_sync(mask, sum, flipped);
  y[place()] = sum;
  __syncthreads();
}

TEST(BrokenKernels, ShufflesAddUpWhatLanesHave) {
  EXPECT_TRUE(agrees_with_itself(sum_of_warp<Shuffle::right>));
  const Outcome outcome = run(sum_of_warp<Shuffle::right>, kSchedules[2]);
  for (unsigned i = 0; i < kBlocks * kThreads; ++i) {
    const unsigned warp = i % kThreads / 32;
    EXPECT_EQ(outcome.y[i], static_cast<float>(496 + 1024 * warp));
  }
}

TEST(BrokenKernels, ShufflesWithMissingLanesAreFaults) {
  expect_fault(sum_of_warp<Shuffle::lane_left_out>, "__shfl_xor_sync with missing lanes");
  expect_fault(sum_of_warp<Shuffle::lane_ended>, "__shfl_xor_sync with missing lanes");
  expect_fault(sum_of_warp<Shuffle::foreign_lane>, "__shfl_xor_sync with missing lanes");
  expect_fault(sum_of_warp<Shuffle::other_operation>, "with missing lanes");
}

TEST(BrokenKernels, PartialWarpsAreFaults) {
  const Outcome outcome = run(sum_of_warp<Shuffle::right>, kSchedules[0], 80);
  EXPECT_THAT(outcome.status, HasSubstr("__shfl_xor_sync with missing lanes"));
}

// ---- memory

template <int kOffset>
__global__ void copy_packs(float* y) {
  const Pack<float> pack = {{1, 2, 3, 4}};
  store_pack(y + kOffset, static_cast<std::int64_t>(place()), pack);
}

TEST(BrokenKernels, MisalignedPacksAreFaults) {
  expect_fault(copy_packs<1>, "misaligned access of 16 bytes");
}

// Four times as many floats as there are.
TEST(BrokenKernels, PacksOutOfRangeAreFaults) { expect_fault(copy_packs<0>, "out of range"); }

template <int kDistance>
__global__ void write_beside(float* y) {
  if (place() == 0) y[kDistance] = 1;
}

// AddressSanitizer stops the program at such a write.
TEST(BrokenKernels, WritesBesideAnAllocationAreFound) {
#if defined(__SANITIZE_ADDRESS__)
  EXPECT_DEATH(run(write_beside<kBlocks * kThreads>, kSchedules[0]), "poison");
  EXPECT_DEATH(run(write_beside<-1>, kSchedules[0]), "poison");
#else
  auto api = create_device_api();
  Stream stream(kSchedules[0]);
  const Grid grid{dim3(1), dim3(32)};
  for (const auto kernel : {write_beside<kBlocks * kThreads>, write_beside<-1>}) {
    auto* y = static_cast<float*>(api->allocate(kBlocks * kThreads * sizeof(float)));
    EXPECT_EQ(launch(kernel, grid, {&stream}, y), nullptr);
    EXPECT_THROW(api->synchronize(stream), std::runtime_error);
    EXPECT_THROW(api->release(y), std::runtime_error);
  }
#endif
}

#if defined(__SANITIZE_ADDRESS__)
__global__ void read_beside_shared_memory(float* y) { y[place()] = shared_memory<float>()[kThreads]; }

TEST(BrokenKernels, AddressSanitizerSeesWhatIsOutOfSharedMemory) {
  EXPECT_DEATH(run(read_beside_shared_memory, kSchedules[0]), "heap-buffer-overflow");
}
#endif

// ---- asynchronous copies

enum class Copying {
  right,
  without_wait,
  without_barrier,
  never_waited_for,
  too_early_again,
  misaligned,
  beyond
};

// Two halves of y, one after the other by way of the same shared memory, each with its numbers moved by a
// warp.
template <Copying kKind>
__global__ void move_by_a_warp(float* y) {
  auto* memory = shared_memory<float>();
  const unsigned thread = threadIdx.x;
  float* const own = y + blockIdx.x * kThreads;
  float moved[2];
  for (unsigned half = 0; half < 2; ++half) {
    constexpr unsigned kHalf = kThreads / 2;
    if (thread < kHalf / 4) {
      const float* from = own + half * kHalf + thread * 4 + (kKind == Copying::misaligned ? 1 : 0);
      copy_async(memory + thread * 4, kKind == Copying::beyond ? from + kBlocks * kThreads : from, true);
    }
    commit_copies();
    if (kKind != Copying::without_wait && kKind != Copying::never_waited_for) wait_for_copies<0>();
    if (kKind != Copying::without_barrier) __syncthreads();
    moved[half] = memory[(thread + 32) % kHalf];
    if (kKind == Copying::without_wait) wait_for_copies<0>();
    if (kKind != Copying::too_early_again) __syncthreads();
  }
  __syncthreads();
  own[thread] = moved[thread % 2];
}

TEST(BrokenKernels, AsynchronousCopiesNeedToBeWaitedFor) {
  EXPECT_TRUE(agrees_with_itself(move_by_a_warp<Copying::right>));
  EXPECT_FALSE(agrees_with_itself(move_by_a_warp<Copying::without_wait>));
  EXPECT_FALSE(agrees_with_itself(move_by_a_warp<Copying::without_barrier>));
  EXPECT_FALSE(agrees_with_itself(move_by_a_warp<Copying::too_early_again>));
  EXPECT_THAT(run(move_by_a_warp<Copying::never_waited_for>, kSchedules[0]).status,
              HasSubstr("ended before its asynchronous copies"));
}

TEST(BrokenKernels, AsynchronousCopiesOfOtherMemoryAreFaults) {
  expect_fault(move_by_a_warp<Copying::misaligned>, "misaligned access of 16 bytes");
  expect_fault(move_by_a_warp<Copying::beyond>, "out of range: global access");
}

// ---- tensor cores

enum class Tensor { right, lane_left_out, misaligned, beyond };

// Each warp multiplies the unit matrix by rows of numbers 0 to 127, which come out in the fragments' order.
template <Tensor kKind>
__global__ void multiply_by_one(float* y) {
  auto* memory = shared_memory<Float16>();
  const unsigned lane = threadIdx.x % 32;
  for (unsigned i = threadIdx.x; i < 128; i += blockDim.x)
    memory[i] = kernels::to_float16(static_cast<float>(i));
  __syncthreads();
  const unsigned group = lane / 4, pair = lane % 4 * 2;
  const auto one = [&](unsigned column) {
    return group == column ? 0x3C00u : group == column + 1 ? 0x3C000000u : 0u;
  };
  const FragmentA unit = {{one(pair), 0, 0, one(pair)}};
  if (kKind == Tensor::lane_left_out && lane == 9) return;
  unsigned part[4];
  const int offset = kKind == Tensor::misaligned ? 1 : kKind == Tensor::beyond ? 128 : 0;
  load_transposed_matrices(part, memory + lane % 16 * 8 + offset);
  Sums sums = {};
  multiply_add<Float16>(sums, unit, {{part[0], part[1]}});
  for (unsigned i = 0; i < 4; ++i) {
    if (blockIdx.x == 0 && threadIdx.x < 32) y[(group + i / 2 * 8) * 8 + pair + i % 2] = sums.value[i];
  }
}

TEST(BrokenKernels, TensorCoresMultiply) {
  const Outcome outcome = run(multiply_by_one<Tensor::right>, kSchedules[2]);
  EXPECT_EQ(outcome.status, "");
  for (unsigned i = 0; i < 128; ++i) EXPECT_EQ(outcome.y[i], static_cast<float>(i));
}

TEST(BrokenKernels, WrongUseOfTensorCoresIsAFault) {
  expect_fault(multiply_by_one<Tensor::lane_left_out>, "ldmatrix with missing lanes");
  expect_fault(multiply_by_one<Tensor::misaligned>, "misaligned access of 16 bytes");
  expect_fault(multiply_by_one<Tensor::beyond>, "out of range: shared access");
}

// ---- launches

__global__ void nothing(float*) {}

TEST(BrokenKernels, LaunchesThatAGpuRefusesAreRefused) {
  Stream stream(kSchedules[0]);
  const auto status = [&](const Grid& grid) {
    const kernels::Status refused = launch(nothing, grid, {&stream}, nullptr);
    return std::string(refused == nullptr ? "" : refused);
  };
  EXPECT_EQ(status({dim3(1), dim3(1024), 99 << 10}), "");
  EXPECT_THAT(status({dim3(1), dim3(1025)}), HasSubstr("1025 threads"));
  EXPECT_THAT(status({dim3(1), dim3(32, 0)}), HasSubstr("0 threads"));
  EXPECT_THAT(status({dim3(0), dim3(32)}), HasSubstr("a grid of (0, 1, 1)"));
  EXPECT_THAT(status({dim3(1, 65536), dim3(32)}), HasSubstr("65536"));
  EXPECT_THAT(status({dim3(1), dim3(32), (99 << 10) + 1}), HasSubstr("bytes of shared memory"));
}

}  // namespace
}  // namespace pila::simt
