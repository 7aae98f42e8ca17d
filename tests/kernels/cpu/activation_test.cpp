#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "kernels/cpu/cpu.h"
#include "kernels/reference/reference.h"
#include "tests/support/compare.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/random_data.h"
#include "tests/support/run_kernel.h"

namespace pila::test {
namespace {

using namespace kernels;

constexpr Activation kActivations[] = {Activation::none, Activation::relu, Activation::relu6,
                                       Activation::silu, Activation::sigmoid};

std::unique_ptr<Stream> stream_of(int threads) { return cpu::create_device_api()->create_stream(threads); }

std::vector<float> forward(const KernelTable& table, Activation kind, const std::vector<float>& x,
                           int threads = 1) {
  GuardedBuffer<float> input(x), y(x.size());
  ActivationForward args;
  args.kind = kind;
  args.count = static_cast<std::int64_t>(x.size());
  args.x = input.data();
  args.y = y.data();
  const auto stream = stream_of(threads);
  run_entry(table, args, *stream);
  EXPECT_TRUE(y.check());
  return y.values();
}

std::vector<float> backward(const KernelTable& table, Activation kind, const std::vector<float>& value,
                            const std::vector<float>& dy, int threads = 1) {
  GuardedBuffer<float> kept(value), gradient(dy), dx(value.size());
  ActivationBackward args;
  args.kind = kind;
  args.count = static_cast<std::int64_t>(value.size());
  args.value = kept.data();
  args.dy = gradient.data();
  args.dx = dx.data();
  const auto stream = stream_of(threads);
  run_entry(table, args, *stream);
  EXPECT_TRUE(dx.check());
  return dx.values();
}

// |actual - expected| in units of the last place of expected; both NaN agree.
double ulps(float actual, float expected) {
  if (std::isnan(expected) || std::isnan(actual))
    return std::isnan(expected) == std::isnan(actual) ? 0 : 1e30;
  if (actual == expected) return 0;
  const float magnitude = std::abs(expected);
  const float unit = std::nextafter(magnitude, std::numeric_limits<float>::infinity()) - magnitude;
  return std::abs(static_cast<double>(actual) - expected) / unit;
}

// exp is off by 1 unit, a sum, a quotient and a product by half a unit each, and a unit of an argument can be
// two of the result; silu's slope s(1 + x(1 - s)) cancels where it crosses zero, so that its error is
// measured against dy there.
constexpr double kUlps = 4;

void expect_close(const std::vector<float>& actual, const std::vector<float>& expected,
                  const std::vector<float>& x, double absolute = 0) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (std::abs(static_cast<double>(actual[i]) - expected[i]) <= absolute) continue;
    ASSERT_LE(ulps(actual[i], expected[i]), kUlps)
        << "x " << x[i] << ": " << actual[i] << ", expected " << expected[i];
  }
}

std::vector<float> extreme_values() {
  constexpr float inf = std::numeric_limits<float>::infinity();
  return {0.0f,   -0.0f,  1e-45f,     -1e-45f,    1e-38f, -1e-38f, 1.0f,
          -1.0f,  6.0f,   5.9999995f, 6.0000005f, 17.0f,  -17.0f,  87.0f,
          -87.0f, 88.8f,  -88.8f,     103.0f,     -103.f, 105.0f,  -105.0f,
          1e30f,  -1e30f, 3e38f,      -3e38f,     inf,    -inf,    std::numeric_limits<float>::quiet_NaN()};
}

TEST(CpuActivation, ForwardIsTheReferenceAtEveryCount) {
  for (const auto kind : kActivations) {
    for (const std::size_t count : {0, 1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 100, 16384, 40001}) {
      const auto x = uniform_data<float>(count, 7 + count, -20, 20);
      expect_close(forward(cpu::table(), kind, x), forward(reference::table(), kind, x), x);
    }
  }
}

TEST(CpuActivation, ForwardIsTheReferenceAtTheEnds) {
  for (const auto kind : kActivations) {
    SCOPED_TRACE(static_cast<int>(kind));
    const auto x = extreme_values();
    // A subnormal sigmoid has few digits, and silu multiplies it by -103.
    expect_close(forward(cpu::table(), kind, x), forward(reference::table(), kind, x), x, 1e-42);
  }
}

TEST(CpuActivation, BackwardIsTheReference) {
  for (const auto kind : kActivations) {
    SCOPED_TRACE(static_cast<int>(kind));
    for (const std::size_t count : {0, 1, 8, 15, 17, 33, 100, 40001}) {
      const auto value = kind == Activation::sigmoid ? uniform_data<float>(count, 3, 0, 1)
                                                     : uniform_data<float>(count, 3, -12, 12);
      const auto dy = uniform_data<float>(count, 5);
      expect_close(backward(cpu::table(), kind, value, dy), backward(reference::table(), kind, value, dy),
                   value, 5e-7);
    }
  }
}

TEST(CpuActivation, BackwardIsTheReferenceAtTheEnds) {
  for (const auto kind : kActivations) {
    SCOPED_TRACE(static_cast<int>(kind));
    for (const float gradient : {1.0f, -2.5f, 0.0f, std::numeric_limits<float>::infinity(),
                                 std::numeric_limits<float>::quiet_NaN()}) {
      auto value = extreme_values();
      // A slope that float32 rounds to 0 lets nothing through, where float64 still finds a subnormal one.
      if (!std::isfinite(gradient)) std::erase_if(value, [](float v) { return std::abs(v) > 80; });
      if (kind == Activation::sigmoid) std::erase_if(value, [](float v) { return v < 0 || v > 1; });
      const std::vector<float> dy(value.size(), gradient);
      expect_close(backward(cpu::table(), kind, value, dy), backward(reference::table(), kind, value, dy),
                   value, 5e-7);
    }
  }
}

// Outputs of 2^21 elements and more are written past the caches.
TEST(CpuActivation, IsTheReferenceBeyondTheCaches) {
  const auto x = uniform_data<float>((1 << 21) + 5, 19, -9, 9), dy = uniform_data<float>(x.size(), 23);
  for (const auto kind : {Activation::relu6, Activation::silu}) {
    expect_close(forward(cpu::table(), kind, x), forward(reference::table(), kind, x), x);
    expect_close(backward(cpu::table(), kind, x, dy), backward(reference::table(), kind, x, dy), x, 5e-7);
  }
}

TEST(CpuActivation, WorksInPlace) {
  for (const auto kind : kActivations) {
    const auto x = uniform_data<float>(1003, 11, -9, 9);
    const auto expected = forward(cpu::table(), kind, x);
    GuardedBuffer<float> y(x);
    ActivationForward args;
    args.kind = kind;
    args.count = 1003;
    args.x = args.y = y.data();
    const auto stream = stream_of(1);
    run_entry(cpu::table(), args, *stream);
    EXPECT_TRUE(same_bits(y, expected));
  }
}

TEST(CpuActivation, GivesTheSameBitsWithAnyThreads) {
  const auto x = uniform_data<float>(100003, 13, -9, 9), dy = uniform_data<float>(100003, 17);
  for (const auto kind : kActivations) {
    for (const int threads : {2, 5}) {
      EXPECT_TRUE(same_bits(forward(cpu::table(), kind, x, threads), forward(cpu::table(), kind, x)));
      EXPECT_TRUE(
          same_bits(backward(cpu::table(), kind, x, dy, threads), backward(cpu::table(), kind, x, dy)));
    }
  }
}

}  // namespace
}  // namespace pila::test
