#include "kernels/args/elementwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/random.h"
#include "kernels/reference/reference.h"
#include "tests/support/compare.h"
#include "tests/support/finite_differences.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/random_data.h"
#include "tests/support/run_kernel.h"

namespace pila::kernels::elementwise_test {
namespace {

using test::close_by_norm;
using test::GuardedBuffer;
using test::run_entry;
using test::uniform_data;
using test::Written;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class T>
constexpr DType kType = sizeof(T) == 8 ? DType::f64 : DType::f32;

template <class T>
std::vector<T> activated(Activation kind, const std::vector<T>& x) {
  GuardedBuffer<T> y(x.size());
  run_entry(reference::table(),
            ActivationForward{kType<T>, kind, static_cast<std::int64_t>(x.size()), x.data(), y.data()});
  EXPECT_TRUE(y.check(Written::all));
  return y.values();
}

template <class T>
std::vector<T> activation_gradient(Activation kind, const std::vector<T>& value, const std::vector<T>& dy) {
  GuardedBuffer<T> dx(value.size());
  run_entry(reference::table(), ActivationBackward{kType<T>, kind, static_cast<std::int64_t>(value.size()),
                                                   value.data(), dy.data(), dx.data()});
  EXPECT_TRUE(dx.check(Written::all));
  return dx.values();
}

TEST(ReferenceActivation, PiecewiseLinearOnesAreExact) {
  const std::vector<float> x{-3, -0.0f, 0, 0.5f, 6, 7.5f};
  EXPECT_EQ(activated(Activation::none, x), x);
  EXPECT_EQ(activated(Activation::relu, x), (std::vector<float>{0, 0, 0, 0.5f, 6, 7.5f}));
  EXPECT_EQ(activated(Activation::relu6, x), (std::vector<float>{0, 0, 0, 0.5f, 6, 6}));
}

TEST(ReferenceActivation, SmoothOnesFollowTheirFormulas) {
  const auto x = uniform_data<double>(200, 1, -20, 20);
  std::vector<double> sigmoid, silu;
  for (const double value : x) {
    sigmoid.push_back(0.5 + 0.5 * std::tanh(value / 2));
    silu.push_back(value * sigmoid.back());
  }
  EXPECT_TRUE(test::close_each(activated(Activation::sigmoid, x), sigmoid, 1e-15));
  EXPECT_TRUE(test::close_each(activated(Activation::silu, x), silu, 1e-14));
}

TEST(ReferenceActivation, StaysFiniteFarOutAndLetsNaNThrough) {
  const std::vector<double> x{-1e4, 1e4};
  EXPECT_EQ(activated(Activation::sigmoid, x), (std::vector<double>{0, 1}));
  EXPECT_EQ(activated(Activation::silu, x), (std::vector<double>{0, 1e4}));
  EXPECT_EQ(activation_gradient(Activation::silu, x, {1, 1}), (std::vector<double>{0, 1}));
  const std::vector<double> infinite{-kInfinity, kInfinity};
  EXPECT_EQ(activated(Activation::relu, infinite), (std::vector<double>{0, kInfinity}));
  EXPECT_EQ(activated(Activation::relu6, infinite), (std::vector<double>{0, 6}));
  EXPECT_EQ(activated(Activation::sigmoid, infinite), (std::vector<double>{0, 1}));
  for (const auto kind :
       {Activation::none, Activation::relu, Activation::relu6, Activation::silu, Activation::sigmoid}) {
    EXPECT_TRUE(std::isnan(activated<double>(kind, {kNaN})[0])) << static_cast<int>(kind);
  }
}

TEST(ReferenceActivation, BackwardIsTheDerivative) {
  for (const auto kind :
       {Activation::none, Activation::relu, Activation::relu6, Activation::silu, Activation::sigmoid}) {
    SCOPED_TRACE(static_cast<int>(kind));
    auto x = uniform_data<double>(100, 2, -8, 8);
    const auto dy = uniform_data<double>(100, 3);
    const auto y = activated(kind, x);
    const auto dx = activation_gradient(kind, kind == Activation::silu ? x : y, dy);
    const auto loss = [&] { return test::inner_product(activated(kind, x), dy); };
    EXPECT_TRUE(close_by_norm(dx, test::numerical_gradient(x, loss), 1e-8));

    // float32 is the same computation rounded once; sigmoid's output was rounded before.
    const std::vector<float> narrow_x(x.begin(), x.end()), narrow_dy(dy.begin(), dy.end());
    const auto narrow_y = activated(kind, narrow_x);
    EXPECT_TRUE(close_by_norm(narrow_y, y, 2e-7));
    EXPECT_TRUE(close_by_norm(
        activation_gradient(kind, kind == Activation::silu ? narrow_x : narrow_y, narrow_dy), dx, 5e-7));
  }
}

TEST(ReferenceActivation, SlopeIsZeroAtTheKinksAndStopsNaN) {
  const std::vector<double> at{0, 6, kNaN, 3}, dy{1, 1, 1, kNaN};
  const auto relu = activation_gradient(Activation::relu, at, dy);
  const auto relu6 = activation_gradient(Activation::relu6, at, dy);
  EXPECT_EQ(relu[0], 0);
  EXPECT_EQ(relu[1], 1);
  EXPECT_EQ(relu6[0], 0);
  EXPECT_EQ(relu6[1], 0);
  EXPECT_EQ(relu[2], 0);
  EXPECT_EQ(relu6[2], 0);
  EXPECT_TRUE(std::isnan(relu[3]) && std::isnan(relu6[3]));
  EXPECT_EQ(activation_gradient<double>(Activation::relu, {-1}, {kNaN})[0], 0);
}

TEST(ReferenceBinary, BroadcastsByStrides) {
  // [2, 1, 3] (op) [1, 2, 3] with the second read backwards along its last axis by a transposed layout.
  const std::vector<double> a{1, 2, 3, 4, 5, 6}, b{10, 20, 30, 40, 50, 60};  // b: [3, 2] read as [2, 3]
  GuardedBuffer<double> y(12);
  Binary args;
  args.type = DType::f64;
  args.rank = 3;
  const std::int64_t shape[] = {2, 2, 3}, a_strides[] = {3, 0, 1}, b_strides[] = {0, 1, 2};
  for (int axis = 0; axis < 3; ++axis) {
    args.shape[axis] = shape[axis];
    args.a_strides[axis] = a_strides[axis];
    args.b_strides[axis] = b_strides[axis];
  }
  args.a = a.data();
  args.b = b.data();
  args.y = y.data();
  run_entry(reference::table(), args);
  EXPECT_EQ(y.values(), (std::vector<double>{11, 32, 53, 21, 42, 63, 14, 35, 56, 24, 45, 66}));
  args.kind = BinaryKind::subtract;
  run_entry(reference::table(), args);
  EXPECT_EQ(y.values(), (std::vector<double>{-9, -28, -47, -19, -38, -57, -6, -25, -44, -16, -35, -54}));
  args.kind = BinaryKind::multiply;
  run_entry(reference::table(), args);
  EXPECT_EQ(y.values(), (std::vector<double>{10, 60, 150, 20, 80, 180, 40, 150, 300, 80, 200, 360}));
}

TEST(ReferenceBinary, WorksAtEveryRankFromAScalarToSix) {
  for (int rank = 0; rank <= kMaxRank; ++rank) {
    const auto count = static_cast<std::size_t>(std::pow(2, rank));
    const auto a = uniform_data<float>(count, 1), b = uniform_data<float>(count, 2);
    GuardedBuffer<float> y(count);
    Binary args;
    args.rank = rank;
    for (int axis = 0; axis < rank; ++axis) {
      args.shape[axis] = 2;
      args.a_strides[axis] = args.b_strides[axis] = std::int64_t{1} << (rank - 1 - axis);
    }
    args.a = a.data();
    args.b = b.data();
    args.y = y.data();
    run_entry(reference::table(), args);
    for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(y[i], a[i] + b[i]);
  }
}

TEST(ReferenceBinary, OfNothingWritesNothing) {
  Binary args;
  args.rank = 2;
  args.shape[0] = 3;
  run_entry(reference::table(), args);
}

TEST(ReferenceAffine, ScalesAndShifts) {
  const std::vector<float> x{0, 1, -2, 255};
  GuardedBuffer<float> y(4);
  run_entry(reference::table(), Affine{DType::f32, 4, 2, -1, x.data(), y.data()});
  EXPECT_EQ(y.values(), (std::vector<float>{-1, 1, -5, 509}));
  // Rounded once: 255 / 127.5 - 1 is exactly 1 even though 1 / 127.5 is no float.
  run_entry(reference::table(), Affine{DType::f32, 4, 1 / 127.5, -1, x.data(), y.data()});
  EXPECT_EQ(y[3], 1.0f);
  run_entry(reference::table(), Affine{});
}

template <class T>
std::vector<T> dropped(const std::vector<T>& x, double rate, std::int64_t group = 1, std::int64_t step = 5,
                       std::uint32_t place = 2, std::uint64_t seed = 9, std::int64_t first = 0) {
  GuardedBuffer<T> y(x.size());
  Dropout args;
  args.first = first;
  args.type = kType<T>;
  args.count = static_cast<std::int64_t>(x.size());
  args.group = group;
  args.rate = rate;
  args.seed = seed;
  args.place = place;
  args.step = &step;
  args.x = x.data();
  args.y = y.data();
  run_entry(reference::table(), args);
  EXPECT_TRUE(y.check(Written::all));
  return y.values();
}

TEST(ReferenceDropout, KeepsTheRightShareAndScalesIt) {
  const std::vector<float> x(20000, 3.0f);
  const auto y = dropped(x, 0.25);
  int kept = 0;
  for (const float value : y) {
    ASSERT_TRUE(value == 0 || value == 4) << value;  // 3 / (1 - 0.25)
    kept += value != 0 ? 1 : 0;
  }
  EXPECT_NEAR(kept, 15000, 5 * std::sqrt(20000 * 0.25 * 0.75));  // five standard deviations
}

TEST(ReferenceDropout, IsDecidedBySeedStepPlaceAndIndexAlone) {
  const std::vector<float> x(1001, 1.0f);
  const auto y = dropped(x, 0.5);
  EXPECT_EQ(dropped(x, 0.5), y);
  EXPECT_EQ(dropped(std::vector<float>(77, 1.0f), 0.5), std::vector<float>(y.begin(), y.begin() + 77));
  EXPECT_NE(dropped(x, 0.5, 1, 6), y);
  EXPECT_NE(dropped(x, 0.5, 1, 5, 3), y);
  EXPECT_NE(dropped(x, 0.5, 1, 5, 2, 10), y);
  for (std::size_t i = 0; i < 20; ++i) {
    const auto block = random_block(9, 5, 2, static_cast<std::uint32_t>(i / 4));
    EXPECT_EQ(y[i] != 0, uniform(block.word[i % 4]) >= 0.5f) << i;
  }
  EXPECT_EQ(dropped(std::vector<double>(20, 1.0), 0.5)[7] != 0, y[7] != 0);
  const auto later = dropped(std::vector<float>(100, 1.0f), 0.5, 1, 5, 2, 9, 901);
  EXPECT_EQ(later, std::vector<float>(y.begin() + 901, y.end()));
}

TEST(ReferenceDropout, AGroupSharesOneDraw) {
  const auto single = dropped(std::vector<float>(40, 1.0f), 0.5);
  const auto grouped = dropped(std::vector<float>(40 * 7 - 3, 1.0f), 0.5, 7);
  for (std::size_t i = 0; i < grouped.size(); ++i) EXPECT_EQ(grouped[i], single[i / 7]) << i;
}

TEST(ReferenceDropout, RateZeroKeepsAllAndRateOneNothing) {
  const auto x = uniform_data<double>(50, 4);
  EXPECT_EQ(dropped(x, 0), x);
  EXPECT_EQ(dropped(x, 1), std::vector<double>(50, 0.0));
  EXPECT_TRUE(dropped(std::vector<double>{}, 0.5).empty());
}

TEST(ReferenceElementwise, WorksInPlace) {
  const auto x = uniform_data<double>(60, 1), dy = uniform_data<double>(60, 2);
  auto in_place = x;
  run_entry(reference::table(),
            ActivationForward{DType::f64, Activation::silu, 60, in_place.data(), in_place.data()});
  EXPECT_EQ(in_place, activated(Activation::silu, x));
  in_place = dy;
  run_entry(reference::table(),
            ActivationBackward{DType::f64, Activation::silu, 60, x.data(), in_place.data(), in_place.data()});
  EXPECT_EQ(in_place, activation_gradient(Activation::silu, x, dy));
  in_place = x;
  run_entry(reference::table(), Affine{DType::f64, 60, 3, 1, in_place.data(), in_place.data()});
  for (std::size_t i = 0; i < 60; ++i) EXPECT_EQ(in_place[i], x[i] * 3 + 1);
  in_place = x;
  const std::int64_t step = 5;
  run_entry(reference::table(),
            Dropout{DType::f64, 60, 1, 0.5, 9, 2, &step, in_place.data(), in_place.data()});
  EXPECT_EQ(in_place, dropped(x, 0.5));
  in_place = x;
  Binary sum;  // x += one row of dy
  sum.type = DType::f64;
  sum.rank = 2;
  sum.shape[0] = 6;
  sum.shape[1] = sum.a_strides[0] = 10;
  sum.a_strides[1] = sum.b_strides[1] = 1;
  sum.a = in_place.data();
  sum.y = in_place.data();
  sum.b = dy.data();
  run_entry(reference::table(), sum);
  for (std::size_t i = 0; i < 60; ++i) EXPECT_EQ(in_place[i], x[i] + dy[i % 10]);
}

}  // namespace
}  // namespace pila::kernels::elementwise_test
