// All gradients of depthwise convolutions in one pass, against the reference.
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/reference/reference.h"
#include "tests/support/compare.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/random_data.h"
#include "tests/support/run_kernel.h"

namespace pila::test {
namespace {

using namespace kernels;

// Sums of nine products: a few units in the last place.
constexpr double kTolerance = 1e-6;
// Sums of up to some thousand products in float32.
constexpr double kFilterTolerance = 3e-6;
// The same of numbers that are far from zero on average, as the prologue gives.
constexpr double kPrologueTolerance = 1e-5;

constexpr bool kBoth[] = {false, true};
constexpr const char* kOnePass = "depthwise_gradients_f32";
constexpr const char* kPasses = "depthwise_gradients_f32_passes";

struct Padding {
  int before, behind;
};
constexpr Padding kPaddings[] = {{0, 0}, {0, 1}, {1, 1}, {1, 2}, {2, 2}};

ConvShape shape_of(std::int64_t batch, std::int64_t h, std::int64_t w, std::int64_t channels, int kernel,
                   int stride, Padding padding, int dilation = 1) {
  ConvShape shape;
  shape.batch = batch;
  shape.in_h = h;
  shape.in_w = w;
  shape.in_c = shape.out_c = channels;
  shape.groups = static_cast<int>(channels);
  shape.window = {kernel, kernel, stride, stride, dilation, dilation, padding.before, padding.before};
  const std::int64_t more = padding.before + padding.behind - (kernel - 1) * dilation - 1 + stride;
  shape.out_h = (h + more) / stride;
  shape.out_w = (w + more) / stride;
  return shape;
}

// TensorFlow's "same" for a 3x3 window and images of an even size, or a stride of 1.
Padding same(int stride) { return stride == 1 ? Padding{1, 1} : Padding{0, 1}; }

struct Gradients {
  GuardedBuffer<float> dx, dw, dbias;

  explicit Gradients(const ConvShape& s)
      : dx(static_cast<std::size_t>(s.batch * s.in_h * s.in_w * s.in_c)),
        dw(static_cast<std::size_t>(s.window.kernel_h * s.window.kernel_w * s.out_c)),
        dbias(static_cast<std::size_t>(s.out_c)) {}
};

class Convolution {
 public:
  Convolution(const ConvShape& shape, Activation activation, bool prologue)
      : result_(shape), scaling_(static_cast<std::size_t>(3 * shape.in_c)) {
    const auto outputs = static_cast<std::size_t>(shape.batch * shape.out_h * shape.out_w * shape.out_c);
    x_ = uniform_data<float>(result_.dx.size(), 1);
    w_ = uniform_data<float>(result_.dw.size(), 2);
    dy = GuardedBuffer<float>(uniform_data<float>(outputs, 4));
    y_ = activation == Activation::sigmoid ? uniform_data<float>(outputs, 3, 0, 1)
                                           : uniform_data<float>(outputs, 3, -3, 9);
    for (auto& v : y_) {
      if (activation == Activation::relu || activation == Activation::relu6) v = std::max(v, 0.0f);
      if (activation == Activation::relu6) v = std::min(v, 6.0f);
    }
    fill_uniform(scaling_, 5, 0.5, 2);
    args.shape = shape;
    args.activation = activation;
    args.x = x_.data();
    args.w = w_.data();
    args.y = activation == Activation::none ? nullptr : y_.data();
    args.dy = dy.data();
    if (prologue) args.prologue = {scaling_.data(), Activation::relu};
  }

  // Those of dx, dw and dbias that are asked for.
  Gradients run(const KernelTable& table, const char* name = nullptr, int threads = 1, bool dx = true,
                bool dw = true, bool dbias = true) const {
    Gradients result(args.shape);
    DepthwiseGradients wanted = args;
    wanted.dx = dx ? result.dx.data() : nullptr;
    wanted.dw = dw ? result.dw.data() : nullptr;
    wanted.dbias = dbias ? result.dbias.data() : nullptr;
    cpu::CpuStream stream(threads);
    run_entry(table, wanted, stream, name);
    EXPECT_TRUE(result.dx.check(dx ? Written::all : Written::any));
    EXPECT_TRUE(result.dw.check(dw ? Written::all : Written::any));
    EXPECT_TRUE(result.dbias.check(dbias ? Written::all : Written::any));
    return result;
  }

  DepthwiseGradients args;
  GuardedBuffer<float> dy{0};

 private:
  Gradients result_;
  GuardedBuffer<float> x_{0}, w_{0}, y_{0}, scaling_;
};

void expect_reference(const ConvShape& s, Activation activation = Activation::relu6, bool prologue = false,
                      const char* name = kOnePass) {
  if (s.out_h <= 0 || s.out_w <= 0) return;
  SCOPED_TRACE(testing::Message() << s.batch << "x" << s.in_h << "x" << s.in_w << "x" << s.in_c << " window "
                                  << s.window.kernel_h << " stride " << s.window.stride_h << " dilation "
                                  << s.window.dilation_h << " pad " << s.window.pad_top << " out " << s.out_h
                                  << "x" << s.out_w << " activation " << static_cast<int>(activation)
                                  << (prologue ? " prologue" : ""));
  const Convolution convolution(s, activation, prologue);
  const Gradients actual = convolution.run(cpu::table(), name);
  const Gradients expected = convolution.run(reference::table());
  EXPECT_TRUE(close_by_norm(actual.dx, expected.dx, kTolerance));
  EXPECT_TRUE(close_by_norm(actual.dw, expected.dw, prologue ? kPrologueTolerance : kFilterTolerance));
  EXPECT_TRUE(close_by_norm(actual.dbias, expected.dbias, kFilterTolerance));
}

TEST(CpuDepthwiseGradients, AreTheReferencesForAllChannelCounts) {
  for (const std::int64_t channels : {1, 3, 8, 15, 16, 17, 24, 32, 33, 96, 144, 960}) {
    for (const int stride : {1, 2}) {
      expect_reference(shape_of(2, 7, 9, channels, 3, stride, {1, 1}));
      expect_reference(shape_of(2, 8, 6, channels, 3, stride, same(stride)), Activation::none, true);
    }
  }
}

TEST(CpuDepthwiseGradients, AreTheReferencesForAllImageSizes) {
  for (std::int64_t size = 1; size <= 17; ++size) {
    for (const int stride : {1, 2}) {
      for (const Padding padding : kPaddings) {
        if (padding.behind == 2 && size < 3) continue;  // windows that see nothing
        expect_reference(shape_of(1, size, size, 19, 3, stride, padding));
        if (padding.behind == 2 && size > 15) continue;
        expect_reference(shape_of(3, 18 - size, size, 16, 3, stride, padding), Activation::relu, true);
      }
    }
  }
}

TEST(CpuDepthwiseGradients, AreTheReferencesForEveryActivation) {
  for (const auto activation : {Activation::none, Activation::relu, Activation::relu6, Activation::sigmoid}) {
    for (const bool prologue : kBoth) {
      for (const int stride : {1, 2}) {
        expect_reference(shape_of(2, 10, 12, 40, 3, stride, same(stride)), activation, prologue);
      }
    }
  }
}

// Stretches of columns, bands of rows, pieces of channels; tasks of several images.
TEST(CpuDepthwiseGradients, AreTheReferencesInPieces) {
  for (const int stride : {1, 2}) {
    for (const bool prologue : kBoth) {
      expect_reference(shape_of(2, 112, 57, 24, 3, stride, {1, 1}), Activation::relu6, prologue);
      expect_reference(shape_of(1, 130, 5, 16, 3, stride, {2, 2}), Activation::relu6, prologue);
      expect_reference(shape_of(2, 28, 30, 200, 3, stride, {0, 1}), Activation::relu6, prologue);
      expect_reference(shape_of(3, 14, 14, 1500, 3, stride, same(stride)), Activation::relu6, prologue);
      expect_reference(shape_of(70, 4, 5, 33, 3, stride, same(stride)), Activation::relu6, prologue);
    }
  }
}

// Layers of MobileNetV2.
TEST(CpuDepthwiseGradients, AreTheReferencesForMobileNetV2) {
  expect_reference(shape_of(1, 112, 112, 32, 3, 1, {1, 1}));
  expect_reference(shape_of(1, 112, 112, 96, 3, 2, {0, 1}));
  expect_reference(shape_of(1, 56, 56, 144, 3, 1, {1, 1}));
  expect_reference(shape_of(1, 14, 14, 576, 3, 2, {0, 1}));
  expect_reference(shape_of(2, 7, 7, 960, 3, 1, {1, 1}));
}

// Gradients of 2^21 elements and more are written past the caches.
TEST(CpuDepthwiseGradients, AreTheReferencesBeyondTheCaches) {
  for (const int stride : {1, 2}) expect_reference(shape_of(1, 363, 363, 16, 3, stride, {1, 1}));
}

TEST(CpuDepthwiseGradients, GiveTheSameBitsWithAnyThreadsAndAlone) {
  for (const ConvShape& shape :
       {shape_of(5, 57, 56, 40, 3, 1, {1, 1}), shape_of(5, 57, 56, 40, 3, 2, {1, 1}),
        shape_of(2, 14, 14, 400, 3, 1, {1, 1}), shape_of(40, 7, 7, 24, 3, 1, {1, 1})}) {
    const Convolution convolution(shape, Activation::relu6, true);
    const Gradients first = convolution.run(cpu::table(), kOnePass);
    for (const int threads : {2, 5}) {
      const Gradients other = convolution.run(cpu::table(), kOnePass, threads);
      EXPECT_TRUE(same_bits(other.dx, first.dx));
      EXPECT_TRUE(same_bits(other.dw, first.dw));
      EXPECT_TRUE(same_bits(other.dbias, first.dbias));
    }
    EXPECT_TRUE(same_bits(convolution.run(cpu::table(), kOnePass, 2, true, false, false).dx, first.dx));
    EXPECT_TRUE(same_bits(convolution.run(cpu::table(), kOnePass, 2, false, true, false).dw, first.dw));
    EXPECT_TRUE(same_bits(convolution.run(cpu::table(), kOnePass, 2, false, false, true).dbias, first.dbias));
  }
}

TEST(CpuDepthwiseGradients, StopInfinitiesAndNanWhereTheSlopeIsZero) {
  for (const auto activation : {Activation::relu, Activation::relu6, Activation::sigmoid}) {
    Convolution convolution(shape_of(2, 9, 10, 20, 3, 1, {1, 1}), activation, false);
    GuardedBuffer<float> y(convolution.dy.values());
    for (std::size_t i = 0; i < y.size(); ++i) {
      y[i] = i % 3 == 0 ? 0.0f : 0.5f;
      if (i % 3 != 0) continue;
      convolution.dy[i] =
          i % 2 == 0 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
    }
    convolution.args.y = y.data();
    const Gradients actual = convolution.run(cpu::table(), kOnePass);
    const Gradients expected = convolution.run(reference::table());
    EXPECT_TRUE(close_by_norm(actual.dx, expected.dx, kTolerance));
    EXPECT_TRUE(close_by_norm(actual.dw, expected.dw, kFilterTolerance));
    EXPECT_TRUE(close_by_norm(actual.dbias, expected.dbias, kFilterTolerance));
  }
}

TEST(CpuDepthwiseGradients, OfOtherWindowsAreTheReferences) {
  for (const int kernel : {1, 2, 5}) {
    for (const int stride : {1, 2, 3}) {
      for (const int dilation : {1, 2}) {
        for (const bool prologue : kBoth) {
          const auto activation = prologue ? Activation::none : Activation::relu6;
          expect_reference(shape_of(2, 13, 11, 20, kernel, stride, {2, 2}, dilation), activation, prologue,
                           kPasses);
        }
      }
    }
  }
}

TEST(CpuDepthwiseGradients, TakeOnePassWhereTheyCan) {
  const auto kernel_of = [](const ConvShape& shape, Activation activation = Activation::relu6) {
    DepthwiseGradients args;
    args.shape = shape;
    args.activation = activation;
    return std::string(cpu::table().depthwise_gradients.select(args)->name);
  };
  ConvShape shape = shape_of(1, 9, 9, 16, 3, 1, {1, 1});
  EXPECT_EQ(kernel_of(shape), kOnePass);
  EXPECT_EQ(kernel_of(shape_of(1, 9, 9, 16, 3, 2, {0, 1})), kOnePass);
  EXPECT_EQ(kernel_of(shape_of(1, 9, 9, 16, 3, 1, {3, 3})), kPasses);
  EXPECT_EQ(kernel_of(shape_of(1, 9, 9, 16, 3, 3, {1, 1})), kPasses);
  EXPECT_EQ(kernel_of(shape_of(1, 9, 9, 16, 3, 1, {1, 1}, 2)), kPasses);
  EXPECT_EQ(kernel_of(shape_of(1, 1, 9, 16, 3, 1, {1, 3})), kPasses);  // windows below the image
  EXPECT_EQ(
      cpu::table().depthwise_gradients.select({DType::f32, shape, {}, {}, {}, {}, {}, Activation::silu}),
      nullptr);
  shape.out_c = 32;
  EXPECT_EQ(kernel_of(shape), "reference");
}

TEST(CpuDepthwiseGradients, OfAnEmptyBatchAreZero) {
  const Convolution convolution(shape_of(0, 9, 9, 16, 3, 1, {1, 1}), Activation::relu6, false);
  const Gradients result = convolution.run(cpu::table(), kOnePass);
  EXPECT_TRUE(same_bits(result.dw, std::vector<float>(result.dw.size(), 0.0f)));
  EXPECT_TRUE(same_bits(result.dbias, std::vector<float>(result.dbias.size(), 0.0f)));
}

}  // namespace
}  // namespace pila::test
