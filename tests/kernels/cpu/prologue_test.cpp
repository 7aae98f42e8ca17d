// Products and depthwise convolutions that normalise their first factor as they read it: against the
// reference, and bit for bit against batch normalisation into memory with the plain operation behind it.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <sstream>
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

constexpr bool kBoth[] = {false, true};
constexpr Activation kActivations[] = {Activation::none, Activation::relu, Activation::relu6,
                                       Activation::silu};

// A first factor of [rows, channels] and its prologue. Zero comes out as something else in every channel, so
// that padding x instead of what is normalised would show.
class FirstFactor {
 public:
  FirstFactor(std::int64_t rows, std::int64_t channels, Activation activation)
      : rows_(rows),
        channels_(channels),
        activation_(activation),
        x_(uniform_data<float>(static_cast<std::size_t>(rows * channels), 1, -2, 2)),
        scaling_(static_cast<std::size_t>(3 * channels)) {
    const auto width = static_cast<std::size_t>(channels);
    const auto means = uniform_data<float>(width, 2), scales = uniform_data<float>(width, 3, 0.5, 3),
               offsets = uniform_data<float>(width, 4, 4, 5);
    std::copy(means.begin(), means.end(), scaling_.begin());
    std::copy(scales.begin(), scales.end(), scaling_.begin() + channels);
    std::copy(offsets.begin(), offsets.end(), scaling_.begin() + 2 * channels);
  }

  const float* x() const { return x_.data(); }
  Prologue prologue() const { return {scaling_.data(), activation_}; }

  // What batch normalisation makes of it. A variance of 1 leaves the scales as they are.
  GuardedBuffer<float> normalised() const {
    const std::vector<float> variance(static_cast<std::size_t>(channels_), 1.0f);
    GuardedBuffer<float> y(x_.size());
    BatchNormInference args;
    args.rows = rows_;
    args.channels = channels_;
    args.epsilon = 0;
    args.activation = activation_;
    args.x = x();
    args.mean = scaling_.data();
    args.gamma = scaling_.data() + channels_;
    args.beta = scaling_.data() + 2 * channels_;
    args.variance = variance.data();
    args.y = y.data();
    cpu::CpuStream stream(1);
    run_entry(cpu::table(), args, stream, "batch_norm_inference_f32");
    return y;
  }

 private:
  std::int64_t rows_, channels_;
  Activation activation_;
  GuardedBuffer<float> x_, scaling_;
};

// What the named kernel writes to `output`.
template <class Args>
std::vector<float> run_fast(Args args, const char* name, void* Args::*output, std::size_t count,
                            int threads) {
  GuardedBuffer<float> y(count);
  args.*output = y.data();
  cpu::CpuStream stream(threads);
  run_entry(cpu::table(), args, stream, name);
  EXPECT_TRUE(y.check(Written::all));
  return y.values();
}

// `args` reads `factor` through `input`.
template <class Args>
void expect_prologue(Args args, const char* name, const FirstFactor& factor, const void* Args::*input,
                     void* Args::*output, std::size_t count, double tolerance) {
  const GuardedBuffer<float> normalised = factor.normalised();
  args.*input = normalised.data();
  const auto plain = run_fast(args, name, output, count, 1);
  args.*input = factor.x();
  args.prologue = factor.prologue();
  for (const int threads : {1, 2, 5}) {
    EXPECT_TRUE(same_bits(run_fast(args, name, output, count, threads), plain)) << threads << " threads";
  }
  std::vector<float> expected(count);
  args.*output = expected.data();
  run_entry(reference::table(), args);
  EXPECT_TRUE(close_by_norm(plain, expected, tolerance));
}

// ---- products
// -------------------------------------------------------------------------------------------------

struct Product {
  std::int64_t m, n, k;
  bool transpose_a = false, transpose_b = false;
  Activation activation = Activation::relu6;
  bool epilogue = false;
};

void expect_product(const Product& which) {
  SCOPED_TRACE(testing::Message() << which.m << " x " << which.n << " x " << which.k
                                  << (which.transpose_a ? " at" : "") << (which.transpose_b ? " bt" : "")
                                  << " activation " << static_cast<int>(which.activation));
  const auto [m, n, k] = std::tuple(which.m, which.n, which.k);
  const FirstFactor a(which.transpose_a ? k : m, which.transpose_a ? m : k, which.activation);
  const GuardedBuffer<float> b(uniform_data<float>(static_cast<std::size_t>(k * n), 5)),
      bias(uniform_data<float>(static_cast<std::size_t>(n), 6));
  Matmul args;
  args.m = m;
  args.n = n;
  args.k = k;
  args.transpose_a = which.transpose_a;
  args.transpose_b = which.transpose_b;
  args.b = b.data();
  if (which.epilogue) args.epilogue = {bias.data(), nullptr, Activation::relu};
  // As without a prologue, and a rounding of each number of a.
  const double tolerance = 4e-7 * (3 + std::sqrt(static_cast<double>(k)));
  expect_prologue(args, "matmul_f32_tiles", a, &Matmul::a, &Matmul::c, static_cast<std::size_t>(m * n),
                  tolerance);
}

TEST(CpuPrologue, OfProductsAroundTheTiles) {
  for (const std::int64_t m : {1, 2, 7, 13, 14, 15, 29, 70}) {
    for (const std::int64_t n : {1, 8, 16, 33, 65}) {
      for (const std::int64_t k : {1, 3, 16, 27}) {
        for (const bool transpose_a : kBoth) {
          for (const bool transpose_b : kBoth) expect_product({m, n, k, transpose_a, transpose_b});
        }
      }
    }
  }
}

TEST(CpuPrologue, OfProductsWithEveryActivation) {
  for (const auto activation : kActivations) {
    for (const bool transpose_a : kBoth) {
      expect_product({37, 40, 35, transpose_a, false, activation});
      expect_product({37, 40, 35, transpose_a, false, activation, true});
    }
  }
}

// Forward products and weight gradients of MobileNetV2, with fewer pixels.
TEST(CpuPrologue, OfPointwiseConvolutions) {
  const std::int64_t layers[][2] = {{32, 16}, {96, 24}, {144, 32}, {24, 144}, {384, 96}, {960, 320}};
  for (const auto& [in, out] : layers) {
    expect_product({1000, out, in});
    expect_product({in, out, 1100, true});
  }
}

// Sums and blocks of columns that take more than one turn, and results that go past the caches.
TEST(CpuPrologue, OfLongAndWideProducts) {
  expect_product({61, 70, 2100});
  expect_product({150, 1280, 320});
  expect_product({500, 530, 700, true});
  expect_product({24, 32, 5003, true});
  expect_product({530000, 16, 2});
}

TEST(CpuPrologue, OfEmptyProducts) {
  for (const bool transpose_a : kBoth) {
    expect_product({0, 5, 3, transpose_a});
    expect_product({5, 40, 0, transpose_a});
  }
}

TEST(CpuPrologue, WorksWithPreparedWeights) {
  const FirstFactor a(50, 40, Activation::relu);
  const GuardedBuffer<float> b(uniform_data<float>(40 * 33, 5));
  GuardedBuffer<float> c(50 * 33);
  Matmul args;
  args.m = 50;
  args.n = 33;
  args.k = 40;
  args.a = a.x();
  args.b = b.data();
  args.c = c.data();
  args.prologue = a.prologue();
  cpu::CpuStream stream(2);
  run_prepared(*cpu::table().matmul.select(args), args, stream);
  EXPECT_TRUE(same_bits(c.values(), run_fast(args, "matmul_f32_tiles", &Matmul::c, c.size(), 1)));
}

TEST(CpuPrologue, OfRoundedProductsIsTheReferences) {
  const FirstFactor a(9, 8, Activation::relu);
  for (const auto precision : {Precision::bf16, Precision::i8}) {
    Matmul args;
    args.rounding.to = precision;
    args.m = 9;
    args.n = 16;
    args.k = 8;
    args.prologue = a.prologue();
    EXPECT_STREQ(cpu::table().matmul.select(args)->name, "reference");
  }
}

// ---- depthwise convolutions
// -----------------------------------------------------------------------------------

ConvShape shape_of(std::int64_t batch, std::int64_t h, std::int64_t w, std::int64_t channels, int kernel,
                   int stride, int top_left, int bottom_right, int dilation = 1) {
  ConvShape shape;
  shape.batch = batch;
  shape.in_h = h;
  shape.in_w = w;
  shape.in_c = shape.out_c = channels;
  shape.groups = static_cast<int>(channels);
  shape.window = {kernel, kernel, stride, stride, dilation, dilation, top_left, top_left};
  const std::int64_t more = top_left + bottom_right - (kernel - 1) * dilation - 1 + stride;
  shape.out_h = (h + more) / stride;
  shape.out_w = (w + more) / stride;
  return shape;
}

void expect_depthwise(const ConvShape& s, Activation activation = Activation::relu6) {
  if (s.out_h <= 0 || s.out_w <= 0) return;
  SCOPED_TRACE(testing::Message() << s.batch << "x" << s.in_h << "x" << s.in_w << "x" << s.in_c << " window "
                                  << s.window.kernel_h << " stride " << s.window.stride_h << " dilation "
                                  << s.window.dilation_h << " pad " << s.window.pad_top << " out " << s.out_h
                                  << "x" << s.out_w << " activation " << static_cast<int>(activation));
  const FirstFactor x(s.batch * s.in_h * s.in_w, s.in_c, activation);
  const auto outputs = static_cast<std::size_t>(s.batch * s.out_h * s.out_w * s.out_c);
  const auto weights = static_cast<std::size_t>(s.window.kernel_h * s.window.kernel_w * s.out_c);
  const GuardedBuffer<float> w(uniform_data<float>(weights, 5)), dy(uniform_data<float>(outputs, 6));
  DepthwiseForward forward;
  forward.shape = s;
  forward.w = w.data();
  expect_prologue(forward, "depthwise_forward_f32", x, &DepthwiseForward::x, &DepthwiseForward::y, outputs,
                  1e-6);
  DepthwiseBackwardFilter filter;
  filter.shape = s;
  filter.dy = dy.data();
  // Long sums of numbers that are far from zero on average.
  expect_prologue(filter, "depthwise_backward_filter_f32", x, &DepthwiseBackwardFilter::x,
                  &DepthwiseBackwardFilter::dw, weights, 1e-5);
}

TEST(CpuPrologue, OfDepthwiseWithAllChannelCounts) {
  for (const std::int64_t channels : {1, 3, 15, 16, 17, 33, 96, 200}) {
    for (const int stride : {1, 2}) expect_depthwise(shape_of(2, 7, 9, channels, 3, stride, 1, 1));
  }
}

TEST(CpuPrologue, OfDepthwiseWithAllImageSizes) {
  for (std::int64_t size = 1; size <= 13; ++size) {
    for (const int stride : {1, 2}) {
      for (const auto& [before, behind] : {std::pair{0, 0}, {0, 1}, {1, 1}}) {
        expect_depthwise(shape_of(1, size, size, 19, 3, stride, before, behind));
        expect_depthwise(shape_of(2, 14 - size, size, 16, 3, stride, before, behind));
      }
    }
  }
}

TEST(CpuPrologue, OfDepthwiseWithOtherWindows) {
  for (const int kernel : {1, 2, 5}) {
    for (const int stride : {1, 2, 3}) {
      for (const int dilation : {1, 2}) {
        for (const int padding : {0, 2}) {
          expect_depthwise(shape_of(2, 13, 11, 20, kernel, stride, padding, padding, dilation));
        }
      }
    }
  }
}

TEST(CpuPrologue, OfDepthwiseWithEveryActivation) {
  for (const auto activation : kActivations) {
    expect_depthwise(shape_of(1, 10, 12, 40, 3, 1, 1, 1), activation);
    expect_depthwise(shape_of(1, 10, 12, 40, 5, 2, 1, 2), activation);
  }
}

// Several slices and chunks of an image, and slices of some of its channels.
TEST(CpuPrologue, OfDepthwiseInPieces) {
  for (const int stride : {1, 2}) {
    expect_depthwise(shape_of(2, 112, 57, 24, 3, stride, 1, 1));
    expect_depthwise(shape_of(2, 28, 28, 200, 3, stride, 0, 1));
    expect_depthwise(shape_of(3, 14, 14, 384, 3, stride, 1, 1));
  }
  expect_depthwise(shape_of(3, 7, 7, 960, 3, 1, 1, 1));
  expect_depthwise(shape_of(1, 363, 363, 16, 3, 1, 1, 1));  // y goes past the caches
}

}  // namespace
}  // namespace pila::test
