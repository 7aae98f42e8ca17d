#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/kernel_table.h"
#include "kernels/reference/reference.h"
#include "tests/support/compare.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/random_data.h"
#include "tests/support/run_kernel.h"

namespace pila::kernels::fused_test {
namespace {

using test::close_by_norm;
using test::GuardedBuffer;
using test::integer_data;
using test::run_entry;
using test::uniform_data;
using test::Written;

template <class T>
constexpr DType kType = sizeof(T) == 8 ? DType::f64 : DType::f32;
// float64: roundings of short sums; float32: one rounding of each step's results.
template <class T>
constexpr double kTolerance = sizeof(T) == 8 ? 1e-14 : 2e-7;

template <class T>
void check_image_conv() {
  ImageConvForward args;
  args.type = kType<T>;
  args.shape = {2, 5, 4, 3, 3, 2, 2, 1, {3, 3, 2, 2, 1, 1, 1, 0}};
  const GuardedBuffer<std::uint8_t> x(integer_data<std::uint8_t>(2 * 5 * 4 * 3, 1, 0, 255));
  const GuardedBuffer<T> w(uniform_data<T>(27 * 2, 2)), bias(uniform_data<T>(2, 3));
  const float scale[] = {0.5f, 0.25f, 2}, offset[] = {-1, 3, 0.5f};
  std::copy_n(scale, 3, args.scale);
  std::copy_n(offset, 3, args.offset);
  GuardedBuffer<T> y(2 * 3 * 2 * 2);
  args.x = x.data();
  args.w = w.data();
  args.y = y.data();
  args.epilogue = {bias.data(), nullptr, Activation::relu};
  run_entry(reference::table(), args);
  EXPECT_TRUE(y.check(Written::all));

  std::vector<double> expected;
  for (int n = 0; n < 2; ++n) {
    for (int oh = 0; oh < 3; ++oh) {
      for (int ow = 0; ow < 2; ++ow) {
        for (std::size_t oc = 0; oc < 2; ++oc) {
          double sum = bias[oc];
          for (int tap = 0; tap < 9; ++tap) {
            const int ih = 2 * oh - 1 + tap / 3, iw = 2 * ow + tap % 3;
            if (ih < 0 || ih >= 5 || iw >= 4) continue;  // zero, and not the offset
            for (int c = 0; c < 3; ++c) {
              const double pixel = x[static_cast<std::size_t>(((n * 5 + ih) * 4 + iw) * 3 + c)];
              sum += (pixel * scale[c] + offset[c]) * w[static_cast<std::size_t>(tap * 3 + c) * 2 + oc];
            }
          }
          expected.push_back(std::max(sum, 0.0));
        }
      }
    }
  }
  EXPECT_TRUE(close_by_norm(y, expected, kTolerance<T>));
}

TEST(ReferenceFused, ImageConvolutionPadsWithZerosBehindTheScale) {
  check_image_conv<double>();
  check_image_conv<float>();
}

TEST(ReferenceFused, ImageConvolutionTakesFewChannelsInOneGroup) {
  ImageConvForward args;
  args.shape.in_c = kMaxImageChannels;
  EXPECT_NE(reference::table().image_conv_forward.select(args), nullptr);
  args.shape.groups = 2;
  EXPECT_EQ(reference::table().image_conv_forward.select(args), nullptr);
  args.shape.groups = 1;
  args.shape.in_c = kMaxImageChannels + 1;
  EXPECT_EQ(reference::table().image_conv_forward.select(args), nullptr);
}

template <class T>
void check_pooled_matmul(std::size_t n) {
  constexpr std::size_t kBatch = 2, kRows = 3, kDepth = 4;
  PooledMatmul args;
  args.type = kType<T>;
  args.batch = kBatch;
  args.rows = kRows;
  args.n = static_cast<std::int64_t>(n);
  args.k = kDepth;
  const GuardedBuffer<T> a(uniform_data<T>(kBatch * kRows * kDepth, 1)), b(uniform_data<T>(kDepth * n, 2)),
      bias(uniform_data<T>(n, 3));
  GuardedBuffer<T> c(kBatch * n);
  args.a = a.data();
  args.b = b.data();
  args.bias = bias.data();
  args.activation = Activation::relu;
  args.c = c.data();
  run_entry(reference::table(), args);
  EXPECT_TRUE(c.check(Written::all));

  std::vector<double> expected(kBatch * n);
  for (std::size_t row = 0; row < kBatch * kRows; ++row) {
    for (std::size_t j = 0; j < n; ++j) {
      double sum = bias[j];
      for (std::size_t p = 0; p < kDepth; ++p) sum += static_cast<double>(a[row * kDepth + p]) * b[p * n + j];
      expected[row / kRows * n + j] += std::max(sum, 0.0) / kRows;
    }
  }
  EXPECT_TRUE(close_by_norm(c, expected, kTolerance<T>));
}

TEST(ReferenceFused, PooledProductIsTheMeanOfActivatedRows) {
  for (const std::size_t n : {1u, 63u, 65u}) {
    check_pooled_matmul<double>(n);
    check_pooled_matmul<float>(n);
  }
}

struct BlockCase {
  bool expand, project, residual;
  int stride;
};

// Every step by its definition, one number at a time.
template <class T>
void check_block(const BlockCase& which) {
  SCOPED_TRACE(testing::Message() << (which.expand ? "expand " : "") << (which.project ? "project " : "")
                                  << (which.residual ? "residual " : "") << "stride " << which.stride);
  constexpr int kSize = 5;
  const int out = which.stride == 1 ? 5 : 3, wide = 6;
  const int in_c = which.expand ? 3 : wide, out_c = which.project ? 3 : wide;
  InvertedResidual args;
  args.type = kType<T>;
  args.in_c = in_c;
  args.out_c = out_c;
  args.depthwise = {2, kSize, kSize, wide, out, out, wide, 1, {3, 3, which.stride, which.stride, 1, 1, 1, 1}};
  const auto size = [](int count) { return static_cast<std::size_t>(count); };
  const GuardedBuffer<T> x(uniform_data<T>(size(2 * kSize * kSize * in_c), 1)),
      expand_w(uniform_data<T>(size(in_c * wide), 2)), expand_bias(uniform_data<T>(size(wide), 3)),
      depthwise_w(uniform_data<T>(size(9 * wide), 4)), depthwise_bias(uniform_data<T>(size(wide), 5)),
      project_w(uniform_data<T>(size(wide * out_c), 6)), project_bias(uniform_data<T>(size(out_c), 7)),
      residual(uniform_data<T>(size(2 * out * out * out_c), 8));
  GuardedBuffer<T> y(size(2 * out * out * out_c));
  args.x = x.data();
  if (which.expand) args.expand = {expand_w.data(), expand_bias.data(), Activation::relu};
  args.depthwise_w = depthwise_w.data();
  args.depthwise_bias = depthwise_bias.data();
  args.depthwise_activation = Activation::relu;
  if (which.project) args.project = {project_w.data(), project_bias.data(), Activation::none};
  if (which.residual) args.residual = residual.data();
  args.y = y.data();
  run_entry(reference::table(), args);
  EXPECT_TRUE(y.check(Written::all));

  const auto expanded = [&](int n, int h, int w, int c) {
    if (h < 0 || h >= kSize || w < 0 || w >= kSize) return 0.0;
    const int pixel = (n * kSize + h) * kSize + w;
    if (!which.expand) return static_cast<double>(x[size(pixel * in_c + c)]);
    double sum = expand_bias[size(c)];
    for (int p = 0; p < in_c; ++p) {
      sum += static_cast<double>(x[size(pixel * in_c + p)]) * expand_w[size(p * wide + c)];
    }
    return std::max(sum, 0.0);
  };
  const auto filtered = [&](int n, int h, int w, int c) {
    double sum = depthwise_bias[size(c)];
    for (int tap = 0; tap < 9; ++tap) {
      sum += expanded(n, h * which.stride - 1 + tap / 3, w * which.stride - 1 + tap % 3, c) *
             depthwise_w[size(tap * wide + c)];
    }
    return std::max(sum, 0.0);
  };
  std::vector<double> expected;
  for (int pixel = 0; pixel < 2 * out * out; ++pixel) {
    const int n = pixel / (out * out), h = pixel / out % out, w = pixel % out;
    for (int c = 0; c < out_c; ++c) {
      double sum = which.project ? project_bias[size(c)] : filtered(n, h, w, c);
      for (int p = 0; which.project && p < wide; ++p) {
        sum += filtered(n, h, w, p) * project_w[size(p * out_c + c)];
      }
      expected.push_back(sum + (which.residual ? residual[size(pixel * out_c + c)] : 0));
    }
  }
  EXPECT_TRUE(close_by_norm(y, expected, kTolerance<T>));
}

TEST(ReferenceFused, InvertedResidualIsTheChainOfItsSteps) {
  for (const BlockCase& which : {BlockCase{true, true, true, 1}, BlockCase{true, true, false, 2},
                                 BlockCase{false, true, true, 1}, BlockCase{false, true, false, 2},
                                 BlockCase{true, false, false, 1}, BlockCase{true, false, false, 2}}) {
    check_block<double>(which);
    check_block<float>(which);
  }
}

}  // namespace
}  // namespace pila::kernels::fused_test
