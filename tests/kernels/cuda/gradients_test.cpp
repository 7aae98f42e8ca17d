// All gradients of a depthwise convolution in one pass.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/args/conv.h"
#include "tests/kernels/cuda/typed_prologue.h"

namespace pila::test::gradients_test {
namespace {

using namespace kernels;

constexpr DType kTypes[] = {DType::f32, DType::f16, DType::bf16};
constexpr Activation kActivations[] = {Activation::none, Activation::relu, Activation::relu6,
                                       Activation::sigmoid};

std::vector<float> random_numbers(std::int64_t count, std::uint64_t seed) {
  return uniform_data<float>(static_cast<std::size_t>(count), seed);
}

// What an activation may have given, both of its ends included.
std::vector<float> outputs(Activation activation, std::int64_t count) {
  const bool sigmoid = activation == Activation::sigmoid;
  std::vector<float> y =
      uniform_data<float>(static_cast<std::size_t>(count), 4, sigmoid ? 0 : -2, sigmoid ? 1 : 8);
  if (sigmoid || activation == Activation::none) return y;
  for (float& value : y) value = static_cast<float>(reference::activate(activation, value));
  return y;
}

// How far off sums of so many products may be: g is rounded, and so is what is stored.
double tolerance(DType type, std::int64_t products) {
  return 8e-7 * (2 + std::sqrt(static_cast<double>(products))) +
         (type == DType::f32 ? 0 : 2 * half_unit(type));
}

struct Image {
  std::int64_t batch, in_h, in_w, channels;
  int stride = 1, pad_top = 1, pad_left = 1;
  int pad_bottom = 1, pad_right = 1;

  ConvShape shape() const {
    ConvShape shape;
    shape.batch = batch;
    shape.in_h = in_h;
    shape.in_w = in_w;
    shape.in_c = shape.out_c = channels;
    shape.out_h = (in_h + pad_top + pad_bottom - 3) / stride + 1;
    shape.out_w = (in_w + pad_left + pad_right - 3) / stride + 1;
    shape.window = {3, 3, stride, stride, 1, 1, pad_top, pad_left};
    return shape;
  }
  std::string name() const {
    std::string text = std::to_string(batch);
    for (const auto size : {in_h, in_w, channels}) text += " x " + std::to_string(size);
    for (const int of : {stride, pad_top, pad_left, pad_bottom, pad_right}) text += ", " + std::to_string(of);
    return text;
  }
};

// Depthwise gradients of one shape as the device and as the reference get them.
class Depthwise {
 public:
  Depthwise(const ConvShape& shape, DType type, Activation activation, bool normalises)
      : type_(type),
        sizes_(shape),
        x_(type, random_numbers(sizes_.in, 1)),
        w_(type, random_numbers(sizes_.weights, 2)),
        dy_(type, random_numbers(sizes_.out, 3)),
        y_(type, outputs(activation, sizes_.out)),
        prologue_(shape.in_c, Activation::relu6),
        read_(normalises ? prologue_.read(type, x_.host) : x_.host),
        dx_there_(std::vector<float>(static_cast<std::size_t>(sizes_.in))),
        dw_there_(std::vector<float>(static_cast<std::size_t>(sizes_.weights))),
        dbias_there_(std::vector<float>(static_cast<std::size_t>(shape.out_c))) {
    host_.shape = there_.shape = shape;
    host_.activation = there_.activation = activation;
    const bool kept = activation != Activation::none;
    // Of float32 the reference has the same prologue; of 16 bits, the numbers that the kernel multiplies.
    host_.x = type == DType::f32 ? x_.host.data() : read_.data();
    if (type == DType::f32 && normalises) host_.prologue = prologue_.on_host();
    host_.w = w_.host.data();
    host_.y = kept ? y_.host.data() : nullptr;
    host_.dy = dy_.host.data();
    there_.type = type;
    there_.x = x_.device.data();
    if (normalises) there_.prologue = prologue_.on_device();
    there_.w = w_.device.data();
    there_.y = kept ? y_.device.data() : nullptr;
    there_.dy = dy_.device.data();
  }

  // Each output, while all are computed, or that one alone.
  void expect_outputs(bool alone) {
    const ConvShape& shape = host_.shape;
    const std::int64_t pixels = shape.batch * shape.out_h * shape.out_w;
    expect_output("dx", &DepthwiseGradients::dx, sizes_.in, 9, type_, alone);
    expect_output("dw", &DepthwiseGradients::dw, sizes_.weights, pixels, type_, alone);
    expect_output("dbias", &DepthwiseGradients::dbias, shape.out_c, pixels, DType::f32, alone);
  }

 private:
  struct Sizes {
    explicit Sizes(const ConvShape& shape)
        : in(shape.batch * shape.in_h * shape.in_w * shape.in_c),
          weights(9 * shape.in_c),
          out(shape.batch * shape.out_h * shape.out_w * shape.out_c) {}
    std::int64_t in, weights, out;
  };

  void expect_output(const char* name, void* DepthwiseGradients::*output, std::int64_t count,
                     std::int64_t products, DType stored, bool alone) {
    SCOPED_TRACE(std::string(name) + (alone ? " alone" : ""));
    DepthwiseGradients args = there_;
    if (!alone) {
      args.dx = dx_there_.data();
      args.dw = dw_there_.data();
      args.dbias = dbias_there_.data();
    }
    const std::size_t bytes = static_cast<std::size_t>(count) * size_of(stored);
    const auto actual =
        from_bytes(stored, run_on_device<unsigned char>(args, "depthwise_gradients", output, bytes));
    const auto expected = run_reference<float>(host_, output, static_cast<std::size_t>(count));
    EXPECT_TRUE(close_by_norm(actual, expected, tolerance(type_, products)));
  }

  DType type_;
  Sizes sizes_;
  TypedInput x_, w_, dy_, y_;
  TypedPrologue prologue_;
  std::vector<float> read_;  // x, as it is multiplied
  DeviceBuffer<float> dx_there_, dw_there_, dbias_there_;
  DepthwiseGradients host_, there_;
};

void expect_gradients_of(const ConvShape& shape, DType type, Activation activation, bool normalises,
                         bool alone = false) {
  SCOPED_TRACE("type " + std::to_string(static_cast<int>(type)) + ", activation " +
               std::to_string(static_cast<int>(activation)) + (normalises ? ", normalised" : ""));
  Depthwise(shape, type, activation, normalises).expect_outputs(alone);
}

void expect_gradients(const Image& image, DType type, Activation activation, bool normalises,
                      bool alone = false) {
  SCOPED_TRACE(image.name());
  expect_gradients_of(image.shape(), type, activation, normalises, alone);
}

TEST(CudaDepthwiseGradients, FollowEveryActivation) {
  PILA_NEEDS_DEVICE();
  for (const DType type : kTypes) {
    for (const Activation activation : kActivations) {
      for (const bool normalises : {false, true}) {
        for (const int stride : {1, 2}) {
          expect_gradients({2, 9, 7, 16, stride}, type, activation, normalises);
        }
      }
    }
  }
}

TEST(CudaDepthwiseGradients, LeaveOutWhatIsNotWanted) {
  PILA_NEEDS_DEVICE();
  for (const DType type : kTypes) {
    for (const int stride : {1, 2}) {
      expect_gradients({1, 6, 9, 24, stride}, type, Activation::relu6, true, true);
      expect_gradients({1, 6, 9, 24, stride}, type, Activation::none, false, true);
    }
  }
}

// The network's own sizes; Keras pads below and to the right alone where strides are 2.
TEST(CudaDepthwiseGradients, TakeMobileNetsShapes) {
  PILA_NEEDS_DEVICE();
  for (const DType type : kTypes) {
    expect_gradients({2, 7, 7, 960}, type, Activation::relu6, true);
    expect_gradients({1, 14, 14, 384}, type, Activation::relu6, true);
    expect_gradients({1, 14, 14, 576, 2, 0, 0}, type, Activation::relu6, false);
    expect_gradients({1, 28, 28, 192, 2, 0, 0}, type, Activation::relu6, true);
  }
  expect_gradients({1, 56, 56, 144}, DType::bf16, Activation::relu6, true);
  expect_gradients({1, 56, 56, 96, 2, 0, 0}, DType::f16, Activation::relu6, true);
  expect_gradients({1, 112, 112, 32}, DType::f16, Activation::relu6, false);
}

// Tiles are 8 x 14 cells, or 8 x 7 at stride 2.
TEST(CudaDepthwiseGradients, CutImagesIntoTiles) {
  PILA_NEEDS_DEVICE();
  for (const DType type : kTypes) {
    for (const int stride : {1, 2}) {
      for (const std::int64_t size : {1, 2, 3, 4, 8, 9, 15, 16, 17, 29}) {
        for (const int pad : {0, 1, 2}) {
          if (size + 2 * pad < 3) continue;
          expect_gradients({1, size, size + 1, 8, stride, pad, pad, pad, pad}, type, Activation::relu, true);
        }
      }
      expect_gradients({1, 11, 5, 8, stride, 0, 2, 1, 3}, type, Activation::relu, true);
      expect_gradients({1, 5, 16, 8, stride, 2, 1, 2, 0}, type, Activation::relu, false);
    }
  }
}

// Windows that leave pixels of x unread, and windows that see none.
TEST(CudaDepthwiseGradients, TakeAnySizeOfY) {
  PILA_NEEDS_DEVICE();
  for (const int stride : {1, 2}) {
    for (const std::int64_t size : {1, 3, 25}) {
      ConvShape shape = Image{2, 12, 10, 8, stride}.shape();
      shape.out_h = size;
      shape.out_w = size + 1;
      expect_gradients_of(shape, DType::f16, Activation::relu6, true);
      expect_gradients_of(shape, DType::f32, Activation::relu6, false);
    }
  }
}

// Blocks of several tiles, and chunks of channels that differ.
TEST(CudaDepthwiseGradients, ShareOutManyTilesAndChannels) {
  PILA_NEEDS_DEVICE();
  expect_gradients({1050, 3, 3, 8}, DType::f16, Activation::relu6, true);
  expect_gradients({3, 5, 6, 1096}, DType::f16, Activation::relu6, true);
  expect_gradients({2, 5, 6, 212, 2}, DType::f32, Activation::relu6, true);
  expect_gradients({0, 5, 6, 8}, DType::f32, Activation::relu6, false);
}

// What is multiplied and added is g, rounded: 0.75 * y * (1 - y) has more digits than there are.
TEST(CudaDepthwiseGradients, RoundTheGradientOnce) {
  PILA_NEEDS_DEVICE();
  const ConvShape shape = Image{1, 1, 1, 8}.shape();
  for (const DType type : {DType::f16, DType::bf16}) {
    const TypedInput x(type, std::vector<float>(8, 1)), w(type, std::vector<float>(72, 1)),
        y(type, std::vector<float>(8, 0.3f)), dy(type, std::vector<float>(8, 0.75));
    const float g = 0.75f * y.host[0] * (1 - y.host[0]), held = rounded(type, {g})[0];
    ASSERT_NE(g, held);
    DepthwiseGradients args;
    args.type = type;
    args.shape = shape;
    args.x = x.device.data();
    args.w = w.device.data();
    args.y = y.device.data();
    args.dy = dy.device.data();
    args.activation = Activation::sigmoid;
    EXPECT_EQ(run_on_device<float>(args, "depthwise_gradients", &DepthwiseGradients::dbias, 8),
              std::vector<float>(8, held));
  }
}

TEST(CudaDepthwiseGradients, RefuseOtherWindows) {
  PILA_NEEDS_DEVICE();
  DepthwiseGradients args;
  args.shape = Image{1, 9, 9, 8}.shape();
  const auto is_taken = [](const DepthwiseGradients& gradients) {
    return device_under_test().table->depthwise_gradients.select(gradients) != nullptr;
  };
  EXPECT_TRUE(is_taken(args));
  const auto refuses = [&](const auto& change) {
    DepthwiseGradients other = args;
    change(other);
    return !is_taken(other);
  };
  EXPECT_TRUE(refuses([](auto& other) { other.type = DType::f64; }));
  EXPECT_TRUE(refuses([](auto& other) { other.activation = Activation::silu; }));
  EXPECT_TRUE(refuses([](auto& other) { other.shape.window.kernel_w = 5; }));
  EXPECT_TRUE(refuses([](auto& other) { other.shape.window.stride_h = 2; }));
  EXPECT_TRUE(refuses([](auto& other) { other.shape.window.dilation_h = 2; }));
  EXPECT_TRUE(refuses([](auto& other) { other.shape.window.pad_top = 3; }));
  EXPECT_TRUE(refuses([](auto& other) { other.shape.out_c = 16; }));
  EXPECT_TRUE(refuses([](auto& other) { other.shape.in_c = other.shape.out_c = 6; }));
}

}  // namespace
}  // namespace pila::test::gradients_test
