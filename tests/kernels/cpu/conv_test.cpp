#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/reference/reference.h"
#include "tests/support/compare.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/random_data.h"
#include "tests/support/run_kernel.h"

namespace pila::kernels::cpu {
namespace {

using test::GuardedBuffer;

// A float32 sum of terms products of random signs is off by about sqrt(terms) roundings of its own size; the
// rest is room for a result of few numbers whose products happen to cancel.
double tolerance(std::int64_t terms) { return 4e-7 * (2 + std::sqrt(static_cast<double>(terms))); }

std::int64_t outputs(std::int64_t in, int kernel, int stride, int dilation, int pad_before, int pad_after) {
  return (in + pad_before + pad_after - (kernel - 1) * dilation - 1) / stride + 1;
}

struct Case {
  std::int64_t batch = 1, height = 8, width = 8, in_c = 8, out_c = 8;
  int kernel_h = 3, kernel_w = 3, stride = 1, dilation = 1;
  int pad_before = 0, pad_after = 0;
  int groups = 1;

  ConvShape shape() const {
    ConvShape s;
    s.batch = batch;
    s.in_h = height;
    s.in_w = width;
    s.in_c = in_c;
    s.out_c = out_c;
    s.groups = groups;
    s.out_h = outputs(height, kernel_h, stride, dilation, pad_before, pad_after);
    s.out_w = outputs(width, kernel_w, stride, dilation, pad_before, pad_after);
    s.window.kernel_h = kernel_h;
    s.window.kernel_w = kernel_w;
    s.window.stride_h = s.window.stride_w = stride;
    s.window.dilation_h = s.window.dilation_w = dilation;
    s.window.pad_top = s.window.pad_left = pad_before;
    return s;
  }
};

std::string describe(const ConvShape& s) {
  const auto text = [](auto... values) { return ((std::to_string(values) + " ") + ...); };
  return "in " + text(s.batch, s.in_h, s.in_w, s.in_c) + "out " + text(s.out_h, s.out_w, s.out_c) +
         "window " +
         text(s.window.kernel_h, s.window.kernel_w, s.window.stride_h, s.window.stride_w, s.window.dilation_h,
              s.window.dilation_w, s.window.pad_top, s.window.pad_left) +
         "groups " + text(s.groups);
}

// The tensors of one convolution, in memory that notices strangers.
class Convolution {
 public:
  explicit Convolution(const ConvShape& shape)
      : shape_(shape),
        x_size_(size(shape.batch * shape.in_h * shape.in_w * shape.in_c)),
        w_size_(
            size(shape.window.kernel_h * shape.window.kernel_w * shape.in_c / shape.groups * shape.out_c)),
        y_size_(size(shape.batch * shape.out_h * shape.out_w * shape.out_c)),
        x_(test::uniform_data<float>(x_size_, 1)),
        w_(test::uniform_data<float>(w_size_, 2)),
        y_(test::uniform_data<float>(y_size_, 3)),
        bias_(test::uniform_data<float>(size(shape.out_c), 4)) {}

  ConvForward forward() const {
    ConvForward args;
    args.shape = shape_;
    args.x = x_.data();
    args.w = w_.data();
    return args;
  }
  ConvForward forward_with(Activation activation, bool bias, bool residual) const {
    ConvForward args = forward();
    args.epilogue.activation = activation;
    if (bias) args.epilogue.bias = bias_.data();
    if (residual) args.epilogue.residual = y_.data();
    return args;
  }
  ConvBackwardData backward_data() const {
    ConvBackwardData args;
    args.shape = shape_;
    args.dy = y_.data();
    args.w = w_.data();
    return args;
  }
  ConvBackwardFilter backward_filter() const {
    ConvBackwardFilter args;
    args.shape = shape_;
    args.x = x_.data();
    args.dy = y_.data();
    return args;
  }

  std::size_t result_size(const ConvForward&) const { return y_size_; }
  std::size_t result_size(const ConvBackwardData&) const { return x_size_; }
  std::size_t result_size(const ConvBackwardFilter&) const { return w_size_; }

  template <class Args>
  std::vector<float> fast(Args args, int threads) const {
    CpuStream stream(threads);
    GuardedBuffer<float> result(result_size(args));
    set_result(args, result.data());
    const auto& entry = entry_of(table(), &args);
    // Also where another kernel would come first, which takes images of few channels.
    const auto kernel = std::ranges::find_if(entry, [](const auto& candidate) {
      return std::string_view(candidate.name).find("f32_tiles") != std::string_view::npos;
    });
    EXPECT_TRUE(kernel->supports(args));
    test::run_kernel(*kernel, args, stream);
    EXPECT_TRUE(result.check(test::Written::all));
    if (kernel->prepare.run != nullptr) {
      GuardedBuffer<float> again(result_size(args));
      set_result(args, again.data());
      test::run_prepared(*kernel, args, stream);
      EXPECT_TRUE(test::same_bits(again.values(), result.values())) << "with prepared weights";
    }
    return result.values();
  }

  template <class Args>
  std::vector<float> expected(Args args) const {
    std::vector<float> result(result_size(args));
    set_result(args, result.data());
    test::run_entry(reference::table(), args);
    return result;
  }

  // The most products in one sum.
  std::int64_t terms(const ConvForward&) const { return per_group(shape_.in_c); }
  std::int64_t terms(const ConvBackwardData&) const { return per_group(shape_.out_c); }
  std::int64_t terms(const ConvBackwardFilter&) const { return shape_.batch * shape_.out_h * shape_.out_w; }

 private:
  static std::size_t size(std::int64_t count) { return static_cast<std::size_t>(count); }
  std::int64_t per_group(std::int64_t channels) const {
    return shape_.window.kernel_h * shape_.window.kernel_w * channels / shape_.groups;
  }
  static void set_result(ConvForward& args, float* y) { args.y = y; }
  static void set_result(ConvBackwardData& args, float* dx) { args.dx = dx; }
  static void set_result(ConvBackwardFilter& args, float* dw) { args.dw = dw; }

  ConvShape shape_;
  std::size_t x_size_, w_size_, y_size_;
  GuardedBuffer<float> x_, w_, y_, bias_;
};

template <class Args>
void expect_agreement(const Convolution& conv, const Args& args) {
  EXPECT_TRUE(test::close_by_norm(conv.fast(args, 1), conv.expected(args), tolerance(conv.terms(args))));
}

void expect_agreement(const ConvShape& shape) {
  SCOPED_TRACE(describe(shape));
  const Convolution conv(shape);
  {
    SCOPED_TRACE("forward");
    expect_agreement(conv, conv.forward());
  }
  {
    SCOPED_TRACE("backward data");
    expect_agreement(conv, conv.backward_data());
  }
  {
    SCOPED_TRACE("backward filter");
    expect_agreement(conv, conv.backward_filter());
  }
}

TEST(FastConv, AgreesOverWindows) {
  for (const int kernel : {1, 2, 3, 5}) {
    for (const int stride : {1, 2, 3}) {
      for (const int dilation : {1, 2, 3}) {
        for (const auto& [before, after] : {std::pair{0, 0}, {0, 1}, {1, 1}, {2, 3}}) {
          const int reach = (kernel - 1) * dilation + 1;
          if (reach > 7 + before + after) continue;
          expect_agreement(Case{2, 9, 7, 5, 6, kernel, kernel, stride, dilation, before, after, 1}.shape());
        }
      }
    }
  }
}

TEST(FastConv, AgreesOverChannels) {
  for (const std::int64_t in_c : {1, 3, 7, 8, 16, 33}) {
    for (const std::int64_t out_c : {1, 8, 15, 16, 17, 24, 32, 48, 130}) {
      expect_agreement(Case{1, 6, 5, in_c, out_c, 3, 3, 1, 1, 1, 1, 1}.shape());
    }
  }
}

// The first convolution of a network: three channels, half the size, and images smaller than the window.
TEST(FastConv, AgreesOnImages) {
  for (const std::int64_t out_c : {16, 32, 48}) {
    for (const std::int64_t size : {1, 2, 3, 14, 29, 33}) {
      expect_agreement(Case{2, size, size, 3, out_c, 3, 3, 2, 1, 0, 1, 1}.shape());
      expect_agreement(Case{2, size, size, 3, out_c, 3, 3, 2, 1, 1, 1, 1}.shape());
      expect_agreement(Case{1, size, size + 2, 3, out_c, 7, 7, 2, 1, 3, 3, 1}.shape());
    }
  }
}

TEST(FastConv, AgreesOverGroups) {
  for (const int groups : {2, 3, 8}) {
    for (const std::int64_t each_in : {1, 4, 20}) {
      for (const std::int64_t each_out : {1, 5, 16, 40}) {
        for (const int stride : {1, 2}) {
          expect_agreement(
              Case{2, 7, 8, groups * each_in, groups * each_out, 3, 3, stride, 1, 1, 1, groups}.shape());
        }
      }
    }
  }
}

TEST(FastConv, AgreesWithUnequalAxes) {
  ConvShape s = Case{2, 11, 13, 6, 20}.shape();
  s.window = {.kernel_h = 2,
              .kernel_w = 4,
              .stride_h = 3,
              .stride_w = 1,
              .dilation_h = 1,
              .dilation_w = 2,
              .pad_top = 1,
              .pad_left = 3};
  s.out_h = 4;
  s.out_w = 11;
  expect_agreement(s);
  s.window.dilation_w = 1;
  s.window.stride_w = 5;  // wider than the window: some inputs are read by nobody
  s.out_w = 3;
  expect_agreement(s);
}

TEST(FastConv, AgreesOnLongSums) {
  expect_agreement(Case{3, 40, 41, 3, 32, 3, 3, 2, 1, 0, 1, 1}.shape());
  expect_agreement(Case{4, 14, 14, 64, 64, 3, 3, 1, 1, 1, 1, 1}.shape());
  expect_agreement(Case{1, 7, 7, 230, 40, 3, 3, 1, 1, 1, 1, 1}.shape());
  expect_agreement(Case{8, 7, 7, 160, 96, 1, 1, 1, 1, 0, 0, 1}.shape());
}

TEST(FastConv, AppliesEveryEpilogue) {
  for (const auto activation :
       {Activation::none, Activation::relu, Activation::relu6, Activation::silu, Activation::sigmoid}) {
    for (const bool bias : {false, true}) {
      for (const bool residual : {false, true}) {
        for (const int groups : {1, 2}) {
          const Convolution conv(Case{2, 7, 9, 6, 36, 3, 3, 2, 1, 1, 1, groups}.shape());
          expect_agreement(conv, conv.forward_with(activation, bias, residual));
        }
      }
    }
  }
}

template <class Args>
void expect_same_bits(const Convolution& conv, const Args& args) {
  const auto once = conv.fast(args, 1);
  EXPECT_TRUE(test::same_bits(conv.fast(args, 2), once));
  EXPECT_TRUE(test::same_bits(conv.fast(args, 5), once));
}

TEST(FastConv, GivesTheSameBitsAtAnyNumberOfThreads) {
  for (const Case& which :
       {Case{2, 33, 33, 3, 32, 3, 3, 2, 1, 0, 1, 1}, Case{2, 28, 28, 24, 40, 3, 3, 1, 1, 1, 1, 1},
        Case{2, 16, 16, 32, 32, 3, 3, 2, 1, 1, 1, 4}}) {
    const Convolution conv(which.shape());
    expect_same_bits(conv, conv.forward());
    expect_same_bits(conv, conv.backward_data());
    expect_same_bits(conv, conv.backward_filter());
  }
}

}  // namespace
}  // namespace pila::kernels::cpu
