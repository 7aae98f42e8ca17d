#include "kernels/args/conv.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <ostream>

#include "kernels/reference/reference.h"
#include "tests/support/compare.h"
#include "tests/support/finite_differences.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/random_data.h"
#include "tests/support/run_kernel.h"

namespace pila::kernels::conv_test {
namespace {

using test::close_by_norm;
using test::GuardedBuffer;
using test::inner_product;
using test::run_entry;
using test::uniform_data;
using test::Written;

template <class T>
constexpr DType kType = sizeof(T) == 8 ? DType::f64 : DType::f32;

// float64: a few roundings in sums of some hundred terms. float32: one rounding of the finished sum.
template <class T>
constexpr double kTolerance = sizeof(T) == 8 ? 1e-14 : 6e-8;

struct Geometry {
  std::int64_t batch, in_h, in_w, in_c, out_c;
  int groups;
  Window window;
  int pad_bottom, pad_right;
};

std::int64_t output_size(std::int64_t in, int pads, int kernel, int stride, int dilation) {
  return (in + pads - (kernel - 1) * dilation - 1) / stride + 1;
}

ConvShape shape_of(const Geometry& g) {
  const Window& w = g.window;
  return {g.batch,
          g.in_h,
          g.in_w,
          g.in_c,
          output_size(g.in_h, w.pad_top + g.pad_bottom, w.kernel_h, w.stride_h, w.dilation_h),
          output_size(g.in_w, w.pad_left + g.pad_right, w.kernel_w, w.stride_w, w.dilation_w),
          g.out_c,
          g.groups,
          w};
}

std::ostream& operator<<(std::ostream& out, const Geometry& g) {
  const Window& w = g.window;
  return out << g.batch << "x" << g.in_h << "x" << g.in_w << "x" << g.in_c << " to " << g.out_c
             << " channels, " << g.groups << " groups, kernel " << w.kernel_h << "x" << w.kernel_w
             << ", stride " << w.stride_h << "x" << w.stride_w << ", dilation " << w.dilation_h << "x"
             << w.dilation_w << ", pads " << w.pad_top << " " << w.pad_left << " " << g.pad_bottom << " "
             << g.pad_right;
}

struct Sizes {
  std::size_t x, w, y;
};

struct Dense {
  using Forward = ConvForward;
  using BackwardData = ConvBackwardData;
  using BackwardFilter = ConvBackwardFilter;

  static std::size_t weights(const ConvShape& s) {
    return static_cast<std::size_t>(s.window.kernel_h * s.window.kernel_w * (s.in_c / s.groups) * s.out_c);
  }
  // Calls body(input channel, output channel, weight within the tap).
  template <class Body>
  static void channels(const ConvShape& s, const Body& body) {
    const auto group_in = s.in_c / s.groups, group_out = s.out_c / s.groups;
    for (std::int64_t oc = s.out_c - 1; oc >= 0; --oc) {
      for (std::int64_t ic = 0; ic < s.in_c; ++ic) {
        if (ic / group_in == oc / group_out) body(ic, oc, (ic % group_in) * s.out_c + oc);
      }
    }
  }
};

struct Depthwise {
  using Forward = DepthwiseForward;
  using BackwardData = DepthwiseBackwardData;
  using BackwardFilter = DepthwiseBackwardFilter;

  static std::size_t weights(const ConvShape& s) {
    return static_cast<std::size_t>(s.window.kernel_h * s.window.kernel_w * s.out_c);
  }
  template <class Body>
  static void channels(const ConvShape& s, const Body& body) {
    for (std::int64_t oc = s.out_c - 1; oc >= 0; --oc) body(oc / (s.out_c / s.in_c), oc, oc);
  }
};

template <class Kind>
Sizes sizes_of(const ConvShape& s) {
  return {static_cast<std::size_t>(s.batch * s.in_h * s.in_w * s.in_c), Kind::weights(s),
          static_cast<std::size_t>(s.batch * s.out_h * s.out_w * s.out_c)};
}

// Calls body(index into x, into w, into y) for every product that a convolution sums, by walking the input
// and asking which output each tap contributes to: the definition in another order than the kernels'.
template <class Kind, class Body>
void for_products(const ConvShape& s, const Body& body) {
  const Window& v = s.window;
  const auto taps = v.kernel_h * v.kernel_w;
  const auto per_tap = static_cast<std::int64_t>(Kind::weights(s)) / taps;
  for (int tap = taps - 1; tap >= 0; --tap) {
    for (std::int64_t pixel = 0; pixel < s.batch * s.in_h * s.in_w; ++pixel) {
      const auto n = pixel / (s.in_h * s.in_w), ih = pixel / s.in_w % s.in_h, iw = pixel % s.in_w;
      const auto top = ih + v.pad_top - tap / v.kernel_w * v.dilation_h;
      const auto left = iw + v.pad_left - tap % v.kernel_w * v.dilation_w;
      if (top < 0 || left < 0 || top % v.stride_h != 0 || left % v.stride_w != 0) continue;
      const auto oh = top / v.stride_h, ow = left / v.stride_w;
      if (oh >= s.out_h || ow >= s.out_w) continue;
      Kind::channels(s, [&](auto ic, auto oc, auto weight) {
        body(static_cast<std::size_t>(pixel * s.in_c + ic), static_cast<std::size_t>(tap * per_tap + weight),
             static_cast<std::size_t>(((n * s.out_h + oh) * s.out_w + ow) * s.out_c + oc));
      });
    }
  }
}

template <class Kind, class T>
typename Kind::BackwardFilter filter_gradient(const ConvShape& shape, const T* x, const T* dy, T* dw) {
  typename Kind::BackwardFilter args;
  args.type = kType<T>;
  args.shape = shape;
  args.x = x;
  args.dy = dy;
  args.dw = dw;
  return args;
}

template <class Kind, class T>
void check(const Geometry& geometry) {
  SCOPED_TRACE(testing::Message() << geometry << (sizeof(T) == 8 ? ", float64" : ", float32"));
  const ConvShape shape = shape_of(geometry);
  const Sizes sizes = sizes_of<Kind>(shape);
  const GuardedBuffer<T> x(uniform_data<T>(sizes.x, 1)), w(uniform_data<T>(sizes.w, 2)),
      dy(uniform_data<T>(sizes.y, 3));
  GuardedBuffer<T> y(sizes.y), dx(sizes.x), dw(sizes.w);
  typename Kind::Forward forward;
  forward.type = kType<T>;
  forward.shape = shape;
  forward.x = x.data();
  forward.w = w.data();
  forward.y = y.data();
  run_entry(reference::table(), forward);
  run_entry(reference::table(), typename Kind::BackwardData{kType<T>, shape, dy.data(), w.data(), dx.data()});
  run_entry(reference::table(), filter_gradient<Kind, T>(shape, x.data(), dy.data(), dw.data()));
  for (const auto* buffer : {&x, &w, &dy}) EXPECT_TRUE(buffer->check());
  for (const auto* buffer : {&y, &dx, &dw}) EXPECT_TRUE(buffer->check(Written::all));

  std::vector<double> expected_y(sizes.y), expected_dx(sizes.x), expected_dw(sizes.w);
  for_products<Kind>(shape, [&](std::size_t xi, std::size_t wi, std::size_t yi) {
    expected_y[yi] += static_cast<double>(x[xi]) * w[wi];
    expected_dx[xi] += static_cast<double>(dy[yi]) * w[wi];
    expected_dw[wi] += static_cast<double>(dy[yi]) * x[xi];
  });
  EXPECT_TRUE(close_by_norm(y, expected_y, kTolerance<T>));
  EXPECT_TRUE(close_by_norm(dx, expected_dx, kTolerance<T>));
  EXPECT_TRUE(close_by_norm(dw, expected_dw, kTolerance<T>));

  // A convolution is linear in x and in w, so its backward kernels are its adjoints.
  const double product = inner_product(dy, y), scale = std::sqrt(static_cast<double>(sizes.y)) + 1;
  EXPECT_NEAR(product, inner_product(dx, x), 100 * kTolerance<T> * scale);
  EXPECT_NEAR(product, inner_product(dw, w), 100 * kTolerance<T> * scale);
}

Window square(int kernel, int stride, int pad_top_left, int dilation = 1) {
  return {kernel, kernel, stride, stride, dilation, dilation, pad_top_left, pad_top_left};
}

TEST(ReferenceConv, AgreesWithTheDefinition) {
  const Geometry cases[] = {
      {1, 1, 1, 1, 1, 1, square(1, 1, 0), 0, 0},
      {3, 5, 7, 4, 6, 1, square(1, 1, 0), 0, 0},
      {1, 6, 6, 5, 3, 1, square(1, 2, 0), 0, 0},
      {3, 7, 5, 3, 8, 1, square(3, 1, 1), 1, 1},
      {1, 8, 8, 3, 70, 1, square(3, 2, 0), 1, 1},  // Keras' padding of even sizes; more than one tile
      {1, 9, 9, 70, 4, 1, square(3, 2, 1), 1, 1},
      {2, 11, 10, 2, 3, 1, square(3, 3, 1), 0, 2},
      {1, 9, 11, 3, 2, 1, square(3, 1, 2, 2), 2, 2},
      {1, 13, 13, 2, 2, 1, square(3, 2, 3, 3), 1, 0},
      {2, 15, 15, 3, 4, 1, square(7, 2, 3), 3, 3},
      {1, 6, 9, 4, 6, 1, {1, 5, 1, 2, 1, 1, 0, 2}, 0, 1},
      {1, 9, 6, 2, 2, 1, {5, 2, 3, 1, 1, 2, 4, 0}, 0, 1},
      {3, 5, 5, 6, 9, 3, square(3, 1, 1), 1, 1},
      {1, 6, 5, 8, 8, 8, square(3, 2, 1), 1, 1},
      {1, 2, 2, 2, 3, 1, square(5, 1, 2), 2, 2},  // the kernel is larger than the image
      {1, 3, 3, 2, 2, 1, square(1, 1, 2), 2, 2},  // outputs that read padding alone
  };
  for (const auto& geometry : cases) {
    check<Dense, double>(geometry);
    check<Dense, float>(geometry);
  }
}

TEST(ReferenceDepthwise, AgreesWithTheDefinition) {
  const Geometry cases[] = {
      {1, 1, 1, 1, 1, 1, square(1, 1, 0), 0, 0},
      {3, 7, 5, 70, 70, 1, square(3, 1, 1), 1, 1},
      {1, 8, 8, 6, 6, 1, square(3, 2, 0), 1, 1},
      {1, 9, 9, 5, 10, 1, square(3, 2, 1), 1, 1},  // multiplier 2
      {1, 7, 8, 65, 195, 1, square(3, 3, 1), 0, 2},
      {2, 9, 11, 3, 3, 1, square(3, 1, 2, 2), 2, 2},
      {1, 10, 7, 4, 4, 1, square(5, 2, 1), 2, 2},
      {1, 6, 9, 4, 8, 1, {1, 5, 1, 2, 1, 1, 0, 2}, 0, 1},
  };
  for (const auto& geometry : cases) {
    check<Depthwise, double>(geometry);
    check<Depthwise, float>(geometry);
  }
}

TEST(ReferenceConv, GivesHandComputedSums) {
  // 3x3 image 1..9, kernel [[1, 10], [100, 1000]], padded at the bottom and right only.
  const std::vector<float> x{1, 2, 3, 4, 5, 6, 7, 8, 9}, w{1, 10, 100, 1000};
  GuardedBuffer<float> y(9);
  ConvForward args;
  args.shape = {1, 3, 3, 1, 3, 3, 1, 1, {2, 2, 1, 1, 1, 1, 0, 0}};
  args.x = x.data();
  args.w = w.data();
  args.y = y.data();
  run_entry(reference::table(), args);
  EXPECT_EQ(y.values(), (std::vector<float>{5421, 6532, 603, 8754, 9865, 906, 87, 98, 9}));
}

TEST(ReferenceConv, EpilogueAddsBiasActivatesThenAddsTheResidual) {
  const std::vector<float> x{1, -1, 3}, w{2, -4}, bias{1, 0.5f};  // sums: 2 -4, -2 4, 6 -12
  const std::vector<float> residual{10, 20, 30, 40, 50, 60};
  GuardedBuffer<float> y(6);
  ConvForward conv;
  conv.shape = {1, 1, 3, 1, 1, 3, 2, 1, {}};
  conv.x = x.data();
  conv.w = w.data();
  conv.y = y.data();
  conv.epilogue = {bias.data(), residual.data(), Activation::relu6};
  run_entry(reference::table(), conv);
  EXPECT_EQ(y.values(), (std::vector<float>{13, 20, 30, 44.5f, 56, 60}));

  y.poison();
  DepthwiseForward depthwise;  // multiplier 2: the same numbers
  depthwise.shape = conv.shape;
  depthwise.x = x.data();
  depthwise.w = w.data();
  depthwise.y = y.data();
  depthwise.epilogue = conv.epilogue;
  run_entry(reference::table(), depthwise);
  EXPECT_EQ(y.values(), (std::vector<float>{13, 20, 30, 44.5f, 56, 60}));

  depthwise.epilogue = {nullptr, residual.data(), Activation::none};
  run_entry(reference::table(), depthwise);
  EXPECT_EQ(y.values(), (std::vector<float>{12, 16, 28, 44, 56, 48}));
}

// Padding is zero behind the prologue, whose own zero is 5 here.
TEST(ReferenceDepthwise, PrologueNormalisesWhatIsInsideTheImage) {
  const std::vector<float> x{1, 2, 3}, w{1, 10, 100}, scaling{2, 3, 5};  // x becomes 2, 5, 8
  GuardedBuffer<float> y(3);
  DepthwiseForward forward;
  forward.shape = {1, 1, 3, 1, 1, 3, 1, 1, {1, 3, 1, 1, 1, 1, 0, 1}};
  forward.x = x.data();
  forward.w = w.data();
  forward.y = y.data();
  forward.prologue = {scaling.data(), Activation::none};
  run_entry(reference::table(), forward);
  EXPECT_EQ(y.values(), (std::vector<float>{520, 852, 85}));
  forward.prologue.activation = Activation::relu6;
  run_entry(reference::table(), forward);  // 2, 5, 6
  EXPECT_EQ(y.values(), (std::vector<float>{520, 652, 65}));

  const std::vector<float> dy{1, 10, 100};
  GuardedBuffer<float> dw(3);
  DepthwiseBackwardFilter filter;
  filter.shape = forward.shape;
  filter.x = x.data();
  filter.dy = dy.data();
  filter.dw = dw.data();
  filter.prologue = {scaling.data(), Activation::none};
  run_entry(reference::table(), filter);
  EXPECT_EQ(dw.values(), (std::vector<float>{520, 852, 85}));
  filter.prologue.activation = Activation::relu6;
  run_entry(reference::table(), filter);
  EXPECT_EQ(dw.values(), (std::vector<float>{520, 652, 65}));
}

// Output channels 0 and 1 read input channel 0, by its own scaling.
TEST(ReferenceDepthwise, PrologueIsOfInputChannels) {
  const std::vector<float> x{1, 2}, w{1, 10, 100, 1000}, scaling{0, 1, 2, 3, 4, 5};  // x becomes 6, 8
  GuardedBuffer<float> y(4);
  DepthwiseForward args;
  args.shape = {1, 1, 1, 2, 1, 1, 4, 1, {}};
  args.x = x.data();
  args.w = w.data();
  args.y = y.data();
  args.prologue.scaling = scaling.data();
  run_entry(reference::table(), args);
  EXPECT_EQ(y.values(), (std::vector<float>{6, 60, 800, 8000}));
}

TEST(ReferenceConv, NaNInTheImageReachesTheOutput) {
  const std::vector<float> x{1, std::numeric_limits<float>::quiet_NaN()}, w{0};
  GuardedBuffer<float> y(2);
  ConvForward args;
  args.shape = {1, 1, 2, 1, 1, 2, 1, 1, {}};
  args.x = x.data();
  args.w = w.data();
  args.y = y.data();
  args.epilogue.activation = Activation::relu6;
  run_entry(reference::table(), args);
  EXPECT_EQ(y[0], 0);
  EXPECT_TRUE(std::isnan(y[1]));
}

template <class Kind>
void check_empty_batch() {
  const ConvShape shape{0, 5, 5, 2, 5, 5, 2, 1, square(3, 1, 1)};
  GuardedBuffer<float> dw(Kind::weights(shape));
  typename Kind::Forward forward;
  forward.shape = shape;
  run_entry(reference::table(), forward);
  run_entry(reference::table(), typename Kind::BackwardData{DType::f32, shape, nullptr, nullptr, nullptr});
  run_entry(reference::table(), filter_gradient<Kind, float>(shape, nullptr, nullptr, dw.data()));
  EXPECT_EQ(dw.values(), std::vector<float>(dw.size(), 0.0f));
}

TEST(ReferenceConv, OfNothingHasNoFilterGradient) {
  check_empty_batch<Dense>();
  check_empty_batch<Depthwise>();
}

}  // namespace
}  // namespace pila::kernels::conv_test
