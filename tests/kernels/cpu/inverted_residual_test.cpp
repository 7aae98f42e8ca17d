#include "kernels/args/inverted_residual.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/reference/reference.h"
#include "tests/support/compare.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/needs_bfloat16.h"
#include "tests/support/random_data.h"
#include "tests/support/run_kernel.h"

namespace pila::kernels::cpu::inverted_residual_test {
namespace {

using test::GuardedBuffer;
using test::uniform_data;

// Each step's float32 sum of k products of random signs is off by about sqrt(k) roundings of its own size;
// the clamped sums in between carry such errors on, and damp them.
double tolerance(std::int64_t k) { return 6e-7 * (2 + std::sqrt(static_cast<double>(k))); }

struct Case {
  std::int64_t in_c, wide, out_c, h, w;
  int kernel = 3, stride = 1, pad_top = 1, pad_left = 1;
  std::int64_t batch = 1;
  bool expand = true, project = true, residual = false, bias = true;
  Activation wide_activation = Activation::relu6, activation = Activation::none;
  int pad_bottom = 1, pad_right = 1;
  Precision precision = Precision::f32;

  std::string name() const {
    return std::to_string(batch) + " x " + std::to_string(h) + " x " + std::to_string(w) + ", " +
           std::to_string(in_c) + " to " + std::to_string(wide) + " to " + std::to_string(out_c) +
           ", kernel " + std::to_string(kernel) + " stride " + std::to_string(stride) + " pads " +
           std::to_string(pad_top) + " " + std::to_string(pad_left) + (expand ? " expand" : "") +
           (project ? " project" : "") + (residual ? " residual" : "") + (bias ? "" : " no bias") +
           " activations " + std::to_string(static_cast<int>(wide_activation)) + " " +
           std::to_string(static_cast<int>(activation));
  }
};

// Of what is filtered, in int8.
constexpr float kInt8Step = 6.0f / 255;

const char* kernel_name(Precision precision) {
  return precision == Precision::bf16 ? "inverted_residual_bf16"
         : precision == Precision::i8 ? "inverted_residual_i8"
                                      : "inverted_residual_f32";
}

class Block {
 public:
  explicit Block(const Case& c)
      : x_(data(c.batch * c.h * c.w * (c.expand ? c.in_c : c.wide), 1)),
        expand_w_(data(c.in_c * c.wide, 2)),
        wide_bias_(data(c.wide, 3)),
        depthwise_w_(data(c.kernel * c.kernel * c.wide, 4)),
        depthwise_bias_(data(c.wide, 5)),
        project_w_(data(c.wide * c.out_c, 6)),
        project_bias_(data(c.out_c, 7)),
        residual_(data(0, 8)) {
    const std::int64_t out_h = (c.h + c.pad_top + c.pad_bottom - c.kernel) / c.stride + 1;
    const std::int64_t out_w = (c.w + c.pad_left + c.pad_right - c.kernel) / c.stride + 1;
    const Rounding of_x{c.precision, {1.0f / 127, 127}};
    const Rounding of_filtered{c.precision, {kInt8Step, c.wide_activation == Activation::relu6 ? 0 : 90}};
    args_.in_c = c.expand ? c.in_c : c.wide;
    args_.out_c = c.project ? c.out_c : c.wide;
    args_.depthwise = {c.batch, c.h,   c.w,
                       c.wide,  out_h, out_w,
                       c.wide,  1,     {c.kernel, c.kernel, c.stride, c.stride, 1, 1, c.pad_top, c.pad_left}};
    args_.x = x_.data();
    const auto bias = [&](GuardedBuffer<float>& values) { return c.bias ? values.data() : nullptr; };
    if (c.expand) args_.expand = {expand_w_.data(), bias(wide_bias_), c.wide_activation, of_x};
    args_.depthwise_w = depthwise_w_.data();
    args_.depthwise_bias = bias(depthwise_bias_);
    args_.depthwise_activation = c.wide_activation;
    if (c.project) args_.project = {project_w_.data(), bias(project_bias_), c.activation, of_filtered};
    count_ = static_cast<std::size_t>(c.batch * out_h * out_w * args_.out_c);
    if (c.residual) {
      residual_ = data(static_cast<std::int64_t>(count_), 8);
      args_.residual = residual_.data();
    }
  }

  std::vector<float> fast(int threads, bool prepared) {
    CpuStream stream(threads);
    GuardedBuffer<float> y(count_);
    args_.y = y.data();
    const auto* kernel = table().inverted_residual.select(args_);
    EXPECT_STREQ(kernel->name, kernel_name(precision_of(args_)));
    prepared ? test::run_prepared(*kernel, args_, stream) : test::run_kernel(*kernel, args_, stream);
    EXPECT_TRUE(y.check(test::Written::all));
    return y.values();
  }

  std::vector<float> expected() {
    std::vector<float> y(count_);
    args_.y = y.data();
    test::run_entry(reference::table(), args_);
    return y;
  }

 private:
  static GuardedBuffer<float> data(std::int64_t size, std::uint64_t seed) {
    return uniform_data<float>(static_cast<std::size_t>(size), seed);
  }

  GuardedBuffer<float> x_, expand_w_, wide_bias_, depthwise_w_, depthwise_bias_, project_w_, project_bias_,
      residual_;
  InvertedResidual args_;
  std::size_t count_ = 0;
};

// Factors that stand between the two products are rounded from sums that float32's rounding has touched:
// where one lies close to the middle of two numbers, it may become the other. Sums are a few units in the
// last place off. The middle of two bfloat16 numbers, which are 2^-8 apart, is met once in 2^15 numbers for
// each such unit: once in a thousand numbers, or thrice among few of them; that of two int8 steps more
// seldom. Not rounding them at all is off by about 1e-3 and 1e-2.
double rounding_tolerance(const Case& which) {
  if (which.precision == Precision::f32 || !which.project) return 0;
  const auto numbers =
      static_cast<double>(which.batch * which.h * which.w * which.wide) / which.stride / which.stride;
  return which.precision == Precision::bf16 ? 0x1p-8 * std::sqrt(1e-3 + 3 / numbers)
                                            : kInt8Step * std::sqrt(1e-4 + 3 / numbers);
}

void expect_agreement(const Case& which) {
  SCOPED_TRACE(which.name());
  Block block(which);
  const auto y = block.fast(1, true);
  EXPECT_TRUE(test::close_by_norm(y, block.expected(),
                                  tolerance(which.in_c + 9 + which.wide) + rounding_tolerance(which)));
  EXPECT_TRUE(test::same_bits(block.fast(1, false), y)) << "without prepared weights";
  EXPECT_TRUE(test::same_bits(block.fast(2, true), y)) << "with two threads";
  EXPECT_TRUE(test::same_bits(block.fast(3, false), y)) << "with three threads";
}

// Vectors have 4, 8 or 16 lanes; chunks are of up to three vectors, panels of up to four.
TEST(FastInvertedResidual, AgreesWithTheReferenceAroundVectorsAndChunks) {
  for (const std::int64_t wide : {1, 7, 15, 16, 17, 24, 47, 48, 49, 64, 80, 96, 112, 113}) {
    expect_agreement({5, wide, 8, 5, 6});
    expect_agreement({8, wide, 24, 6, 5, 3, 2, 0, 0});
  }
  for (const std::int64_t out_c : {1, 3, 8, 15, 16, 17, 31, 40, 48, 56, 64, 65, 80, 97, 160}) {
    expect_agreement({3, 20, out_c, 4, 7, 3, 1, 1, 1, 1, true, true, true});
  }
  for (const std::int64_t in_c : {1, 2, 3, 16, 33}) expect_agreement({in_c, 20, 12, 7, 7});
}

// Tiles are of up to 14 pixels; rows are filtered in pairs.
TEST(FastInvertedResidual, AgreesAroundTilesAndRows) {
  for (const std::int64_t h : {1, 2, 3, 4, 5, 7, 14}) {
    for (const std::int64_t w : {1, 2, 3, 4, 5, 7, 8, 13, 14, 15, 29}) {
      for (const int stride : {1, 2}) expect_agreement({4, 20, 9, h, w, 3, stride});
    }
  }
}

TEST(FastInvertedResidual, AgreesForEveryWindow) {
  for (const int kernel : {3, 5}) {
    for (const int stride : {1, 2}) {
      for (const int top : {0, 1, 2, 4}) {
        for (const int left : {0, 1, 2, 5}) {
          for (const int after : {0, 1, 3}) {
            Case which{6, 34, 18, 9, 11, kernel, stride, top, left};
            which.pad_bottom = after;
            which.pad_right = 3 - after;
            expect_agreement(which);
          }
        }
      }
    }
  }
}

TEST(FastInvertedResidual, AgreesInEveryForm) {
  for (const std::int64_t batch : {1, 3}) {
    for (const int stride : {1, 2}) {
      for (const bool bias : {false, true}) {
        Case which{8, 40, 8, 10, 10, 3, stride, 1, 1, batch};
        which.bias = bias;
        expect_agreement(which);
        which.residual = true;
        expect_agreement(which);
        which.expand = false;
        expect_agreement(which);
        which.residual = which.project = false;
        expect_agreement(which);
        which.expand = true;
        expect_agreement(which);
      }
    }
  }
}

TEST(FastInvertedResidual, AppliesEveryActivation) {
  for (const auto wide :
       {Activation::none, Activation::relu, Activation::relu6, Activation::silu, Activation::sigmoid}) {
    for (const auto last : {Activation::none, Activation::relu6, Activation::silu}) {
      for (const bool residual : {false, true}) {
        expect_agreement({8, 40, 27, 6, 9, 3, 1, 1, 1, 1, true, true, residual, true, wide, last});
      }
    }
  }
}

// Images that need several groups of rows, whose wide rows go round in their ring.
TEST(FastInvertedResidual, AgreesOnLargeImages) {
  expect_agreement({16, 96, 24, 56, 56, 3, 2, 0, 0});
  expect_agreement({24, 144, 24, 40, 56, 3, 1, 1, 1, 1, true, true, true});
  expect_agreement({8, 48, 16, 112, 112, 5, 2, 1, 1});
  Case first{32, 32, 16, 112, 112};
  first.expand = false;
  expect_agreement(first);
}

// Small images with many channels: with several threads they share the channels.
TEST(FastInvertedResidual, AgreesOnManyChannels) {
  expect_agreement({64, 384, 64, 14, 14, 3, 1, 1, 1, 1, true, true, true});
  expect_agreement({96, 576, 160, 14, 14, 3, 2, 1, 1});
  expect_agreement({160, 960, 320, 7, 7, 3, 1, 1, 1, 3});
}

void expect_rounded_agreement(Precision precision) {
  const auto expect_it = [&](Case which) {
    which.precision = precision;
    expect_agreement(which);
  };
  for (const std::int64_t wide : {1, 15, 16, 17, 47, 48, 49, 64, 113}) {
    for (const std::int64_t in_c : {1, 5, 8, 31}) {
      expect_it({in_c, wide, 8, 5, 6});
      expect_it({in_c, wide, 70, 6, 5, 5, 2, 0, 0});
    }
  }
  for (const std::int64_t out_c : {1, 16, 17, 31, 33, 64, 65, 97}) {
    expect_it({3, 20, out_c, 4, 15, 3, 1, 1, 1, 2, true, true, true});
  }
  for (const bool expand : {false, true}) {
    for (const bool project : {false, true}) {
      if (!expand && !project) continue;
      for (const auto activation : {Activation::none, Activation::relu6, Activation::silu}) {
        expect_it({7, 40, 9, 10, 9, 3, 1, 1, 1, 1, expand, project, project, false, activation, activation});
      }
    }
  }
  expect_it({16, 96, 24, 56, 56, 3, 2, 0, 0});
  expect_it({24, 144, 24, 40, 56, 3, 1, 1, 1, 1, true, true, true});
  expect_it({64, 384, 64, 14, 14, 3, 1, 1, 1, 1, true, true, true});
  expect_it({160, 960, 320, 7, 7, 3, 1, 1, 1, 3});
  // Around a matrix unit's tiles: 16 rows, 32 or 64 values of k; with room for more planes than there are.
  for (const std::int64_t in_c : {32, 63, 65}) {
    for (const std::int64_t wide : {32, 65, 80, 100, 113}) expect_it({in_c, wide, 40, 5, 7});
  }
  for (const auto& [h, w] : {std::pair{1, 1}, {3, 5}, {4, 4}, {1, 17}, {11, 3}, {40, 33}}) {
    for (const int stride : {1, 2}) expect_it({40, 80, 24, h, w, 3, stride, 1, 1, 2});
  }
  for (const auto activation : {Activation::none, Activation::silu}) {
    for (const auto& [expand, project] : {std::pair{true, true}, {true, false}, {false, true}}) {
      expect_it({72, 72, 36, 9, 6, 3, 1, 1, 1, 1, expand, project, project, false, activation, activation});
    }
  }
}

TEST(FastInvertedResidual, AgreesInBFloat16) {
  PILA_NEEDS_BFLOAT16();
  expect_rounded_agreement(Precision::bf16);
}

TEST(FastInvertedResidual, AgreesInInt8) { expect_rounded_agreement(Precision::i8); }

TEST(FastInvertedResidual, LeavesOtherWindowsToTheReference) {
  InvertedResidual args;
  args.depthwise.in_c = args.depthwise.out_c = 8;
  args.depthwise.window.kernel_h = args.depthwise.window.kernel_w = 3;
  const auto name = [&] { return std::string(table().inverted_residual.select(args)->name); };
  EXPECT_EQ(name(), "inverted_residual_f32");
  args.depthwise.window.kernel_w = 5;
  EXPECT_EQ(name(), "reference");
  args.depthwise.window.kernel_w = 3;
  args.depthwise.window.dilation_h = 2;
  EXPECT_EQ(name(), "reference");
  args.depthwise.window.dilation_h = 1;
  args.depthwise.window.stride_h = args.depthwise.window.stride_w = 3;
  EXPECT_EQ(name(), "reference");
  args.depthwise.window.stride_h = args.depthwise.window.stride_w = 1;
  args.type = DType::f64;
  EXPECT_EQ(name(), "reference");
}

TEST(FastInvertedResidual, TakesNoImages) {
  Case none{8, 40, 8, 10, 10};
  none.batch = 0;
  expect_agreement(none);
}

}  // namespace
}  // namespace pila::kernels::cpu::inverted_residual_test
