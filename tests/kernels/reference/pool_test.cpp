#include "kernels/args/pool.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/reference/reference.h"
#include "tests/support/compare.h"
#include "tests/support/finite_differences.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/random_data.h"
#include "tests/support/run_kernel.h"

namespace pila::kernels::pool_test {
namespace {

using test::close_by_norm;
using test::GuardedBuffer;
using test::run_entry;
using test::uniform_data;
using test::Written;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

template <class T>
std::vector<T> pooled(const ConvShape& shape, const std::vector<T>& x) {
  GuardedBuffer<T> y(static_cast<std::size_t>(shape.batch * shape.out_h * shape.out_w * shape.out_c));
  run_entry(reference::table(),
            MaxPoolForward{sizeof(T) == 8 ? DType::f64 : DType::f32, shape, x.data(), y.data()});
  EXPECT_TRUE(y.check(Written::all));
  return y.values();
}

template <class T>
std::vector<T> pool_gradient(const ConvShape& shape, const std::vector<T>& x, const std::vector<T>& dy) {
  GuardedBuffer<T> dx(x.size());
  run_entry(reference::table(),
            MaxPoolBackward{sizeof(T) == 8 ? DType::f64 : DType::f32, shape, x.data(), dy.data(), dx.data()});
  EXPECT_TRUE(dx.check(Written::all));
  return dx.values();
}

// One row of pixels with one channel.
ConvShape row(std::int64_t in, std::int64_t out, int kernel, int stride, int pad = 0, int dilation = 1) {
  return {1, 1, in, 1, 1, out, 1, 1, {1, kernel, 1, stride, 1, dilation, 0, pad}};
}

TEST(ReferenceMaxPool, TakesTheLargestOfEachWindow) {
  EXPECT_EQ(pooled<float>(row(5, 2, 3, 2), {1, 5, 2, 7, 3}), (std::vector<float>{5, 7}));
  EXPECT_EQ(pooled<float>(row(5, 3, 3, 1), {1, 5, 2, 7, 3}), (std::vector<float>{5, 7, 7}));
  EXPECT_EQ(pooled<float>(row(5, 1, 3, 1, 0, 2), {1, 5, 2, 7, 3}), (std::vector<float>{3}));
  EXPECT_EQ(pooled<float>(row(5, 3, 1, 2), {1, 5, 2, 7, 3}), (std::vector<float>{1, 2, 3}));
}

TEST(ReferenceMaxPool, TapsOutsideTheImageDoNotCount) {
  EXPECT_EQ(pooled<float>(row(3, 3, 3, 1, 1), {-5, -7, -6}), (std::vector<float>{-5, -5, -6}));
  EXPECT_EQ(pooled<float>(row(2, 3, 1, 1, 1), {-5, -7}), (std::vector<float>{-kInfinity, -5, -7}));
}

TEST(ReferenceMaxPool, GradientGoesToTheFirstLargestTap) {
  EXPECT_EQ(pool_gradient<float>(row(4, 2, 2, 2), {3, 3, 1, 2}, {10, 20}),
            (std::vector<float>{10, 0, 0, 20}));
  // Overlapping windows add up; a tie within a window goes to its first tap.
  EXPECT_EQ(pool_gradient<float>(row(5, 3, 3, 1), {0, 4, 4, 1, 2}, {1, 10, 100}),
            (std::vector<float>{0, 11, 100, 0, 0}));
  // Rows before columns: of [[1, 2], [2, 0]] the upper right one.
  const ConvShape square{1, 2, 2, 1, 1, 1, 1, 1, {2, 2, 2, 2, 1, 1, 0, 0}};
  EXPECT_EQ(pool_gradient<float>(square, {1, 2, 2, 0}, {5}), (std::vector<float>{0, 5, 0, 0}));
  // All -infinity is a tie as well; nobody owns a window outside the image.
  EXPECT_EQ(pool_gradient<float>(row(2, 1, 2, 1), {-kInfinity, -kInfinity}, {5}), (std::vector<float>{5, 0}));
  EXPECT_EQ(pool_gradient<float>(row(2, 3, 1, 1, 1), {-5, -7}, {1, 2, 3}), (std::vector<float>{2, 3}));
}

TEST(ReferenceMaxPool, NaNIsLargerThanEveryNumber) {
  for (const auto& window : {std::vector<float>{kNaN, kInfinity, 2}, {1, kNaN, kInfinity}, {1, 2, kNaN}}) {
    EXPECT_TRUE(std::isnan(pooled(row(3, 1, 3, 1), window)[0]));
  }
  EXPECT_EQ(pool_gradient<float>(row(3, 1, 3, 1), {9, kNaN, kNaN}, {1}), (std::vector<float>{0, 1, 0}));
}

template <class T>
void check_against_definition(const ConvShape& s) {
  const Window& v = s.window;
  auto x = uniform_data<T>(static_cast<std::size_t>(s.batch * s.in_h * s.in_w * s.in_c), 1);
  const auto dy = uniform_data<T>(static_cast<std::size_t>(s.batch * s.out_h * s.out_w * s.out_c), 2);
  // Every tap of an output is offered to it by walking the input.
  std::vector<T> expected(dy.size(), -std::numeric_limits<T>::infinity());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i), c = at % s.in_c, iw = at / s.in_c % s.in_w;
    const auto ih = at / (s.in_c * s.in_w) % s.in_h, n = at / (s.in_c * s.in_w * s.in_h);
    for (std::int64_t oh = 0; oh < s.out_h; ++oh) {
      for (std::int64_t ow = 0; ow < s.out_w; ++ow) {
        const auto down = ih + v.pad_top - oh * v.stride_h, right = iw + v.pad_left - ow * v.stride_w;
        if (down < 0 || down >= v.kernel_h || right < 0 || right >= v.kernel_w) continue;
        auto& largest = expected[static_cast<std::size_t>(((n * s.out_h + oh) * s.out_w + ow) * s.out_c + c)];
        largest = std::max(largest, x[i]);
      }
    }
  }
  EXPECT_TRUE(test::same_bits(pooled(s, x), expected));
  if constexpr (sizeof(T) == 8) {
    const auto dx = pool_gradient(s, x, dy);
    const auto loss = [&] { return test::inner_product(pooled(s, x), dy); };
    EXPECT_TRUE(close_by_norm(dx, test::numerical_gradient(x, loss), 1e-8));
  }
}

TEST(ReferenceMaxPool, AgreesWithTheDefinitionAndItsDerivative) {
  const ConvShape shapes[] = {
      {1, 5, 6, 3, 2, 2, 3, 1, {3, 3, 2, 2, 1, 1, 0, 0}},
      {3, 5, 5, 2, 3, 3, 2, 1, {3, 3, 2, 2, 1, 1, 1, 1}},
      {1, 7, 4, 5, 4, 2, 5, 1, {1, 1, 2, 2, 1, 1, 0, 0}},
      {1, 4, 4, 66, 2, 2, 66, 1, {3, 3, 2, 2, 1, 1, 0, 0}},  // more than one tile
      {2, 6, 7, 1, 6, 3, 1, 1, {2, 5, 1, 3, 1, 1, 1, 2}},
  };
  for (const auto& shape : shapes) {
    check_against_definition<double>(shape);
    check_against_definition<float>(shape);
  }
}

TEST(ReferenceMaxPool, OfAnEmptyBatchDoesNothing) {
  ConvShape shape = row(5, 2, 3, 2);
  shape.batch = 0;
  EXPECT_TRUE(pooled<float>(shape, {}).empty());
  EXPECT_TRUE(pool_gradient<float>(shape, {}, {}).empty());
}

template <class T>
void check_borders(DType type) {
  const Borders borders{2, 3, 2, 2, 1, 0, 2, 3};
  const auto x = test::integer_data<T>(2 * 3 * 2 * 2, 1, 1, 100);
  const std::size_t padded_size = 2 * 4 * 7 * 2;
  GuardedBuffer<T> padded(padded_size), back(x.size());
  run_entry(reference::table(), Pad{type, borders, x.data(), padded.data()});
  EXPECT_TRUE(padded.check());
  std::vector<T> expected(padded_size);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t c = i % 2, w = i / 2 % 2, h = i / 4 % 3, n = i / 12;
    expected[((n * 4 + h + 1) * 7 + w + 2) * 2 + c] = x[i];
  }
  EXPECT_EQ(padded.values(), expected);
  run_entry(reference::table(), Crop{type, borders, padded.data(), back.data()});
  EXPECT_TRUE(back.check());
  EXPECT_EQ(back.values(), x);
}

TEST(ReferencePad, PutsZerosAroundAndCropTakesThemAway) {
  check_borders<float>(DType::f32);
  check_borders<double>(DType::f64);
  check_borders<std::uint8_t>(DType::u8);
  check_borders<std::uint16_t>(DType::f16);
  check_borders<std::uint16_t>(DType::bf16);
  check_borders<std::int32_t>(DType::i32);
  check_borders<std::int64_t>(DType::i64);
}

TEST(ReferencePad, OfAnEmptyImageIsAllBorder) {
  GuardedBuffer<float> y(6);
  run_entry(reference::table(), Pad{DType::f32, {1, 0, 0, 1, 1, 1, 2, 1}, nullptr, y.data()});
  EXPECT_EQ(y.values(), std::vector<float>(6, 0.0f));
  run_entry(reference::table(), Pad{DType::f32, {0, 2, 2, 3, 1, 1, 1, 1}, nullptr, nullptr});
  run_entry(reference::table(), Crop{DType::f32, {1, 0, 0, 1, 1, 1, 2, 1}, y.data(), nullptr});
}

}  // namespace
}  // namespace pila::kernels::pool_test
