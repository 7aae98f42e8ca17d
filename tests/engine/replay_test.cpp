// Work that is captured and done again, on a device that captures: the CUDA kernels in emulation.
#include "engine/core/replay.h"

#include <gmock/gmock.h>

#include "engine/core/error.h"
#include "engine/ops/ops.h"
#include "tests/simt/memory.h"
#include "tests/simt/table.h"

namespace pila {
namespace {

using testing::Each;
using testing::ElementsAre;

Context emulated() {
  return Context(std::make_shared<Device>("emulated", simt::create_device_api(), simt::table(), 1));
}

class ReplayTest : public testing::Test {
 protected:
  // x -> 2 (x + 1) by way of memory that is given back in between; counts how often it is told to.
  std::vector<Tensor> work() {
    ++times_;
    const Tensor shifted = ops::affine(ctx_, x_, 1, 1);
    return {ops::affine(ctx_, shifted, 2)};
  }
  std::vector<float> replayed(float x) {
    x_.assign<float>(ctx_, std::vector<float>(3, x));
    return replay_.run([&] { return work(); })[0].to_vector<float>(ctx_);
  }

  const Context ctx_ = emulated();
  const Tensor x_ = Tensor::zeros(ctx_, {{3}, DType::f32});
  int times_ = 0;
  Replay replay_{ctx_};
};

TEST_F(ReplayTest, DoesTheWorkOnceThenCapturesIt) {
  for (const float x : {1.0f, -3.0f, 5.0f, 7.0f}) {
    EXPECT_THAT(replayed(x), ElementsAre(2 * x + 2, 2 * x + 2, 2 * x + 2));
  }
  EXPECT_EQ(times_, 2);
}

TEST_F(ReplayTest, ItsMemoryIsNobodyElses) {
  for (const float x : {1.0f, 2.0f}) replayed(x);
  std::vector<Tensor> others;  // of the sizes that the work had, all that the cache has and more
  for (int i = 0; i < 20; ++i) others.push_back(Tensor::full(ctx_, x_.spec(), 42));
  EXPECT_THAT(replayed(3), Each(8));
  for (const Tensor& other : others) EXPECT_THAT(other.to_vector<float>(ctx_), Each(42));
}

TEST_F(ReplayTest, OtherWorkInBetweenHasTheSameMemory) {
  for (const float x : {1.0f, 2.0f}) replayed(x);
  const auto before = ctx_.device()->allocator().statistics();
  for (int i = 0; i < 3; ++i) {
    const Tensor y = replay_.run_other(
        [&] { return std::vector{ops::affine(ctx_, ops::affine(ctx_, x_, -1), 1, 0.5)}; })[0];
    EXPECT_THAT(y.to_vector<float>(ctx_), Each(i == 0 ? -1.5f : -2.5f));
    EXPECT_THAT(replayed(3), Each(8));
  }
  const auto after = ctx_.device()->allocator().statistics();
  EXPECT_LE(after.device_allocations, before.device_allocations + 1)
      << "for what it made, beside the captured";
}

TEST_F(ReplayTest, GoesOnBehindAFailure) {
  for (int times = 0; times < 3; ++times) {  // as it is done, as it is captured, and again
    bool fails = true;
    const auto failing = [&] {
      auto made = work();
      if (fails) throw UsageError("it was told to");
      return made;
    };
    EXPECT_THROW(replay_.run(failing), UsageError);
    if (times == 0) replayed(1);
  }
  EXPECT_THAT(replayed(4), Each(10));
  EXPECT_THAT(replayed(5), Each(12));
}

TEST_F(ReplayTest, DoesNotCaptureWhatTheHostTakesPartIn) {
  replayed(1);
  EXPECT_THROW(replay_.run([&] { return std::vector{Tensor::from(ctx_, {1}, std::vector<float>{1})}; }),
               std::runtime_error);
  EXPECT_THROW(replay_.run([&] {
    x_.to_vector<float>(ctx_);
    return std::vector<Tensor>();
  }),
               std::runtime_error);
  EXPECT_THAT(replayed(4), Each(10));
}

TEST(Replay, OnAProcessorIsTheWorkItself) {
  const Context ctx(Device::cpu(1));
  Replay replay(ctx);
  int times = 0;
  for (int i = 1; i <= 3; ++i) {
    const auto work = [&] { return std::vector{Tensor::full(ctx, {{2}, DType::f32}, ++times)}; };
    EXPECT_THAT(replay.run(work)[0].to_vector<float>(ctx), Each(i));
  }
  EXPECT_EQ(times, 3);
}

}  // namespace
}  // namespace pila
