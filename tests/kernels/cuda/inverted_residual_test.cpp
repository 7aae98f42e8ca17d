#include "kernels/args/inverted_residual.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/kernels/cuda/run_on_device.h"
#include "tests/support/random_data.h"

namespace pila::test::inverted_residual_test {
namespace {

using namespace kernels;

struct Case {
  std::int64_t in_c, wide, out_c, h, w;
  int stride = 1, pad_top = 1, pad_left = 1, pad_bottom = 1, pad_right = 1;
  std::int64_t batch = 1;
  bool expand = true, project = true, residual = false, bias = true;
  Activation wide_activation = Activation::relu6, activation = Activation::none;
  DType type = DType::f16;

  std::string name() const {
    return "type " + std::to_string(static_cast<int>(type)) + ": " + std::to_string(batch) + " x " +
           std::to_string(h) + " x " + std::to_string(w) + ", " + std::to_string(in_c) + " to " +
           std::to_string(wide) + " to " + std::to_string(out_c) + ", stride " + std::to_string(stride) +
           " pads " + std::to_string(pad_top) + " " + std::to_string(pad_left) + (expand ? " expand" : "") +
           (project ? " project" : "") + (residual ? " residual" : "") + (bias ? "" : " no bias");
  }
};

class Operands {
 public:
  explicit Operands(const Case& c)
      : case_(c),
        out_h_((c.h + c.pad_top + c.pad_bottom - 3) / c.stride + 1),
        out_w_((c.w + c.pad_left + c.pad_right - 3) / c.stride + 1),
        x_(c.type, data(c.batch * c.h * c.w * in_c(), 1)),
        expand_w_(c.type, data(c.in_c * c.wide, 2)),
        depthwise_w_(c.type, data(9 * c.wide, 3)),
        project_w_(c.type, data(c.wide * c.out_c, 4)),
        residual_(c.type, data(c.residual ? static_cast<std::int64_t>(count()) : 0, 5)),
        biases_(data(2 * c.wide + out_c(), 6)),
        biases_there_(biases_) {}

  std::size_t count() const { return static_cast<std::size_t>(case_.batch * out_h_ * out_w_ * out_c()); }

  InvertedResidual on_device() const {
    InvertedResidual args = with([](const TypedInput& input) { return input.device.data(); }, biases_there_);
    args.type = case_.type;
    return args;
  }
  InvertedResidual on_host() const {
    return with([](const TypedInput& input) { return static_cast<const void*>(input.host.data()); }, biases_);
  }

 private:
  static std::vector<float> data(std::int64_t size, std::uint64_t seed) {
    return uniform_data<float>(static_cast<std::size_t>(size), seed);
  }
  std::int64_t in_c() const { return case_.expand ? case_.in_c : case_.wide; }
  std::int64_t out_c() const { return case_.project ? case_.out_c : case_.wide; }

  template <class AddressOf, class Biases>
  InvertedResidual with(const AddressOf& address_of, const Biases& biases) const {
    const Case& c = case_;
    const auto bias = [&](std::int64_t at) { return c.bias ? biases.data() + at : nullptr; };
    InvertedResidual args;
    args.in_c = in_c();
    args.out_c = out_c();
    args.depthwise = {c.batch, c.h,    c.w,
                      c.wide,  out_h_, out_w_,
                      c.wide,  1,      {3, 3, c.stride, c.stride, 1, 1, c.pad_top, c.pad_left}};
    args.x = address_of(x_);
    if (c.expand) args.expand = {address_of(expand_w_), bias(0), c.wide_activation, {}};
    args.depthwise_w = address_of(depthwise_w_);
    args.depthwise_bias = bias(c.wide);
    args.depthwise_activation = c.wide_activation;
    if (c.project) args.project = {address_of(project_w_), bias(2 * c.wide), c.activation, {}};
    if (c.residual) args.residual = address_of(residual_);
    return args;
  }

  Case case_;
  std::int64_t out_h_, out_w_;
  TypedInput x_, expand_w_, depthwise_w_, project_w_, residual_;
  std::vector<float> biases_;
  DeviceBuffer<float> biases_there_;
};

// In 16 bits the wide tensor is rounded twice on its way and y once, each time by half a unit at most, of
// numbers whose sums do not cancel. Float32's sums are off by about the square root of their length.
double tolerance(const Case& c) {
  return 8e-7 * (2 + std::sqrt(static_cast<double>(c.in_c + 9 + c.wide))) +
         (c.type == DType::f32 ? 0 : 3 * half_unit(c.type));
}

void expect_agreement(const Case& which) {
  SCOPED_TRACE(which.name());
  const Operands operands(which);
  const char* name = which.type == DType::f32 ? "inverted_residual_f32" : "inverted_residual_tensor_cores";
  const auto expected = run_reference<float>(operands.on_host(), &InvertedResidual::y, operands.count());
  EXPECT_TRUE(close_by_norm(run_typed(operands.on_device(), name, &InvertedResidual::y, operands.count()),
                            expected, tolerance(which)));
}

constexpr DType kTypes[] = {DType::f32, DType::f16, DType::bf16};

// Chunks are of 32 wide channels; outputs have room for 160 or 320, and for 64 or 320 in float32.
TEST(CudaInvertedResidual, AgreesAroundChannels) {
  PILA_NEEDS_DEVICE();
  for (const DType type : kTypes) {
    Case which{8, 32, 8, 6, 5};
    which.type = type;
    for (which.wide = 8; which.wide <= 72; which.wide += 8) expect_agreement(which);
    which.wide = 48;
    for (which.in_c = 8; which.in_c <= 40; which.in_c += 8) expect_agreement(which);
    which.in_c = 8;
    for (which.out_c = 16; which.out_c <= 72; which.out_c += 8) expect_agreement(which);
    for (const std::int64_t out_c : {152, 160, 168, 320}) {
      which.out_c = out_c;
      expect_agreement(which);
    }
  }
}

// Blocks have at most 64 pixels of y, in strips of 4.
TEST(CudaInvertedResidual, AgreesAroundTiles) {
  PILA_NEEDS_DEVICE();
  for (const int stride : {1, 2}) {
    for (const std::int64_t h : {1, 2, 7, 8, 9, 17}) {
      for (const std::int64_t w : {1, 3, 4, 5, 7, 8, 9, 16, 33}) {
        Case which{8, 40, 16, h, w, stride};
        expect_agreement(which);
      }
    }
  }
}

// Keras pads strides of 2 at the bottom and right only.
TEST(CudaInvertedResidual, AgreesForEveryPadding) {
  PILA_NEEDS_DEVICE();
  for (const int stride : {1, 2}) {
    for (const int before : {0, 1, 2}) {
      for (const int after : {0, 1, 3}) {
        expect_agreement({8, 16, 8, 10, 9, stride, before, 2 - before, after, 3 - after});
      }
    }
  }
}

TEST(CudaInvertedResidual, AgreesInEveryForm) {
  PILA_NEEDS_DEVICE();
  for (const DType type : kTypes) {
    for (const int stride : {1, 2}) {
      for (const bool bias : {false, true}) {
        Case which{16, 72, 16, 11, 10, stride, 1, 1, 1, 1, 3};
        which.type = type;
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

TEST(CudaInvertedResidual, AppliesEveryActivation) {
  PILA_NEEDS_DEVICE();
  for (const auto wide :
       {Activation::none, Activation::relu, Activation::relu6, Activation::silu, Activation::sigmoid}) {
    for (const auto last : {Activation::none, Activation::relu6, Activation::silu}) {
      Case which{8, 40, 24, 6, 9};
      which.residual = true;
      which.wide_activation = wide;
      which.activation = last;
      expect_agreement(which);
    }
  }
}

TEST(CudaInvertedResidual, TakesAnyChannelsOfFloat32) {
  PILA_NEEDS_DEVICE();
  for (const std::int64_t odd : {1, 5, 33}) {
    Case which{odd, 12, 10, 6, 7};
    which.type = DType::f32;
    expect_agreement(which);
    expect_agreement({9, odd, 11, 7, 6, 2, 1, 1, 1, 1, 1, true, true, false, true, Activation::silu,
                      Activation::none, DType::f32});
    which.in_c = 7;
    which.out_c = odd;
    expect_agreement(which);
  }
}

// Enough tiles that blocks have several chunks each.
TEST(CudaInvertedResidual, AgreesOnLargeImages) {
  PILA_NEEDS_DEVICE();
  for (const DType type : {DType::f32, DType::f16}) {
    Case which{8, 72, 24, 41, 40, 1, 0, 0};
    which.batch = 2;
    which.type = type;
    expect_agreement(which);
    which.expand = false;
    expect_agreement(which);
    which.project = false;
    which.expand = true;
    expect_agreement(which);
  }
}

// Of MobileNetV2: tiles that are cut to what fits into shared memory, with as many inputs and outputs as
// there are.
TEST(CudaInvertedResidual, AgreesOnManyChannels) {
  PILA_NEEDS_DEVICE();
  for (const DType type : {DType::f32, DType::bf16}) {
    Case which{96, 64, 160, 14, 14, 2, 0, 0};
    which.type = type;
    expect_agreement(which);
    expect_agreement({160, 40, 320, 7, 7, 1, 1, 1, 1, 1, 1, true, true, false, true, Activation::relu6,
                      Activation::none, type});
  }
}

TEST(CudaInvertedResidual, LeavesOtherShapesToOthers) {
  PILA_NEEDS_DEVICE();
  const auto& entry = device_under_test().table->inverted_residual;
  const InvertedResidual fits = Operands({8, 16, 8, 6, 6}).on_device();
  EXPECT_NE(entry.select(fits), nullptr);
  const auto refuses = [&](const auto& change) {
    InvertedResidual args = fits;
    change(args);
    return entry.select(args) == nullptr;
  };
  EXPECT_TRUE(
      refuses([](auto& args) { args.depthwise.window.kernel_h = args.depthwise.window.kernel_w = 5; }));
  EXPECT_TRUE(refuses([](auto& args) { args.depthwise.window.dilation_w = 2; }));
  EXPECT_TRUE(
      refuses([](auto& args) { args.depthwise.window.stride_h = args.depthwise.window.stride_w = 3; }));
  EXPECT_TRUE(refuses([](auto& args) { args.depthwise.in_c = args.depthwise.out_c = 12; }));
  EXPECT_TRUE(refuses([](auto& args) { args.out_c = 328; }));
  EXPECT_TRUE(refuses([](auto& args) { args.in_c = 4096; })) << "more than shared memory holds";
  EXPECT_TRUE(refuses([](auto& args) { args.project.rounding.to = Precision::bf16; }));
}

TEST(CudaInvertedResidual, TakesNoImages) {
  PILA_NEEDS_DEVICE();
  Case none{8, 40, 8, 10, 10};
  none.batch = 0;
  expect_agreement(none);
}

}  // namespace
}  // namespace pila::test::inverted_residual_test
