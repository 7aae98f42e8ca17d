#include <gtest/gtest.h>

#include <limits>

#include "tests/kernels/cpu/against_reference.h"

namespace pila::test {
namespace {

using namespace kernels;

// Both sides add in float64 and round once: at most the last bit differs.
constexpr double kOneRounding = 1.2e-7;

void expect_same_reduce(std::int64_t outer, std::int64_t reduced, std::int64_t inner) {
  SCOPED_TRACE(testing::Message() << outer << " x " << reduced << " x " << inner);
  const GuardedBuffer<float> x(uniform_data<float>(static_cast<std::size_t>(outer * reduced * inner), 1));
  Reduce args;
  args.outer = outer;
  args.reduced = reduced;
  args.inner = inner;
  args.x = x.data();
  const auto count = static_cast<std::size_t>(outer * inner);
  for (const ReduceKind kind : {ReduceKind::sum, ReduceKind::mean}) {
    args.kind = kind;
    EXPECT_TRUE(close_by_norm(run_fast<float>(args, "reduce_f32", &Reduce::y, count),
                              run_reference<float>(args, &Reduce::y, count), kOneRounding));
  }
}

TEST(CpuReduce, EverythingToOneNumber) {
  for (const auto length : kLengths) {
    if (length > 0) expect_same_reduce(1, length, 1);
  }
}

TEST(CpuReduce, Rows) {
  for (const auto length : {1, 3, 16, 17, 100}) expect_same_reduce(1000, length, 1);
  expect_same_reduce(3, 70000, 1);
}

TEST(CpuReduce, BiasGradients) {
  for (const std::int64_t channels : {2, 3, 7, 8, 15, 16, 17, 24, 96, 511, 512, 513, 1280}) {
    for (const std::int64_t rows : {1, 3, 4, 5, 63, 64, 65, 1024, 3000})
      expect_same_reduce(1, rows, channels);
  }
}

TEST(CpuReduce, GlobalAveragePooling) {
  expect_same_reduce(32, 49, 1280);
  expect_same_reduce(5, 49, 17);
  expect_same_reduce(3, 50176, 3);
}

TEST(CpuReduce, NothingToReduce) {
  Reduce args;
  args.outer = 3;
  args.reduced = 0;
  args.inner = 5;
  for (const float sum : run_fast<float>(args, "reduce_f32", &Reduce::y, 15)) EXPECT_EQ(sum, 0.0f);
  args.kind = ReduceKind::mean;
  EXPECT_TRUE(same_specials(run_fast<float>(args, "reduce_f32", &Reduce::y, 15),
                            run_reference<float>(args, &Reduce::y, 15)));
  args.reduced = 4;
  args.inner = 0;
  EXPECT_TRUE(run_fast<float>(args, "reduce_f32", &Reduce::y, 0).empty());
}

// A float32 running sum would stop growing at 2^24.
TEST(CpuReduce, LongSumsStayExact) {
  constexpr std::int64_t count = 20'000'001;
  const std::vector<float> x(count, 1.0f);
  Reduce args;
  args.reduced = count;
  args.x = x.data();
  EXPECT_EQ(run_fast<float>(args, "reduce_f32", &Reduce::y, 1)[0], static_cast<float>(count));
}

TEST(CpuReduce, NanAndInfinityComeThrough) {
  auto values = uniform_data<float>(4 * 300, 2);
  values[4 * 17 + 1] = std::numeric_limits<float>::quiet_NaN();
  values[4 * 299 + 2] = std::numeric_limits<float>::infinity();
  Reduce args;
  args.reduced = 300;
  args.inner = 4;
  args.x = values.data();
  EXPECT_TRUE(same_specials(run_fast<float>(args, "reduce_f32", &Reduce::y, 4),
                            run_reference<float>(args, &Reduce::y, 4)));
}

TEST(CpuRepeat, Shapes) {
  for (const auto [outer, repeated, inner] : {std::array<std::int64_t, 3>{1, 1, 1},
                                              {32, 49, 1280},
                                              {3, 17, 1},
                                              {1, 100003, 1},
                                              {2, 1000, 7},
                                              {4, 0, 3},
                                              {5, 1, 16}}) {
    SCOPED_TRACE(testing::Message() << outer << " x " << repeated << " x " << inner);
    const GuardedBuffer<float> x(uniform_data<float>(static_cast<std::size_t>(outer * inner), 3));
    Repeat args;
    args.outer = outer;
    args.repeated = repeated;
    args.inner = inner;
    args.scale = 1.0 / 49;
    args.x = x.data();
    const auto count = static_cast<std::size_t>(outer * repeated * inner);
    // The scale is rounded to float32 too.
    EXPECT_TRUE(close_by_norm(run_fast<float>(args, "repeat_f32", &Repeat::y, count),
                              run_reference<float>(args, &Repeat::y, count), 2 * kOneRounding));
  }
}

}  // namespace
}  // namespace pila::test
