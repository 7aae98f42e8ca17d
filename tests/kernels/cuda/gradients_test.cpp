// All gradients of a depthwise convolution, and of a product, in one pass.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/args/conv.h"
#include "kernels/args/matmul.h"
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
std::vector<float> outputs_of(Activation activation, std::int64_t count) {
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

template <class Args>
struct Output {
  const char* name;
  void* Args::*member;
  std::int64_t count, products;
  DType stored;
};

// Each output, while all are computed, or that one alone. The arguments name the inputs.
template <class Args>
void expect_outputs(const char* kernel, const Args& host, const Args& there,
                    const std::vector<Output<Args>>& outputs, bool alone) {
  std::vector<DeviceBuffer<float>> others;
  Args args = there;
  for (const auto& output : outputs) {
    others.emplace_back(std::vector<float>(static_cast<std::size_t>(output.count)));
    if (!alone) args.*output.member = others.back().data();
  }
  for (const auto& output : outputs) {
    SCOPED_TRACE(std::string(output.name) + (alone ? " alone" : ""));
    const auto count = static_cast<std::size_t>(output.count);
    const auto bytes =
        run_on_device<unsigned char>(args, kernel, output.member, count * size_of(output.stored));
    const auto expected = run_reference<float>(host, output.member, count);
    EXPECT_TRUE(
        close_by_norm(from_bytes(output.stored, bytes), expected, tolerance(there.type, output.products)));
  }
}

std::string text_of(DType type, Activation activation, bool normalises) {
  return "type " + std::to_string(static_cast<int>(type)) + ", activation " +
         std::to_string(static_cast<int>(activation)) + (normalises ? ", normalised" : "");
}

// ---- depthwise

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

void expect_gradients_of(const ConvShape& shape, DType type, Activation activation, bool normalises,
                         bool alone = false) {
  SCOPED_TRACE(text_of(type, activation, normalises));
  const std::int64_t in = shape.batch * shape.in_h * shape.in_w * shape.in_c, weights = 9 * shape.in_c;
  const std::int64_t pixels = shape.batch * shape.out_h * shape.out_w, out = pixels * shape.out_c;
  const TypedInput x(type, random_numbers(in, 1)), w(type, random_numbers(weights, 2)),
      dy(type, random_numbers(out, 3)), y(type, outputs_of(activation, out));
  const TypedPrologue prologue(shape.in_c, Activation::relu6);
  const std::vector<float> read = normalises ? prologue.read(type, x.host) : x.host;
  const bool kept = activation != Activation::none;
  DepthwiseGradients host, there;
  host.shape = there.shape = shape;
  host.activation = there.activation = activation;
  // Of float32 the reference has the same prologue; of 16 bits, the numbers that the kernel multiplies.
  host.x = type == DType::f32 ? x.host.data() : read.data();
  if (type == DType::f32 && normalises) host.prologue = prologue.on_host();
  host.w = w.host.data();
  host.y = kept ? y.host.data() : nullptr;
  host.dy = dy.host.data();
  there.type = type;
  there.x = x.device.data();
  if (normalises) there.prologue = prologue.on_device();
  there.w = w.device.data();
  there.y = kept ? y.device.data() : nullptr;
  there.dy = dy.device.data();
  expect_outputs<DepthwiseGradients>("depthwise_gradients", host, there,
                                     {{"dx", &DepthwiseGradients::dx, in, 9, type},
                                      {"dw", &DepthwiseGradients::dw, weights, pixels, type},
                                      {"dbias", &DepthwiseGradients::dbias, shape.out_c, pixels, DType::f32}},
                                     alone);
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
    expect_gradients({1, 7, 7, 960}, type, Activation::relu6, true);
    expect_gradients({2, 14, 14, 96}, type, Activation::relu6, true);
    expect_gradients({1, 14, 14, 192, 2, 0, 0}, type, Activation::relu6, false);
  }
  expect_gradients({1, 28, 28, 192}, DType::f32, Activation::relu6, true);
  expect_gradients({1, 56, 56, 144}, DType::bf16, Activation::relu6, true);
  expect_gradients({1, 112, 112, 96, 2, 0, 0}, DType::f16, Activation::relu6, true);
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

// ---- products

struct Factors {
  DType type;
  Precision rounding = Precision::f32;
};
constexpr Factors kFactors[] = {{DType::f16}, {DType::bf16}, {DType::f32, Precision::tf32}};

// c is m x n, from a of k columns.
struct Sizes {
  std::int64_t m, k, n;
};

void expect_product(const Sizes& sizes, const Factors& factors, Activation activation, bool normalises,
                    bool alone = false) {
  const auto& [m, k, n] = sizes;
  const auto& [type, rounding] = factors;
  SCOPED_TRACE(std::to_string(m) + " x " + std::to_string(k) + " x " + std::to_string(n) + ", " +
               text_of(type, activation, normalises));
  const TypedInput a(type, random_numbers(m * k, 1)), b(type, random_numbers(k * n, 2)),
      dc(type, random_numbers(m * n, 3)), c(type, outputs_of(activation, m * n));
  const TypedPrologue prologue(k, Activation::relu6);
  const std::vector<float> read = normalises ? prologue.read(type, a.host) : a.host;
  const bool kept = activation != Activation::none;
  MatmulGradients host, there;
  host.rounding = there.rounding = rounding;
  host.m = there.m = m;
  host.n = there.n = n;
  host.k = there.k = k;
  host.activation = there.activation = activation;
  host.a = read.data();
  host.b = b.host.data();
  host.c = kept ? c.host.data() : nullptr;
  host.dc = dc.host.data();
  there.type = type;
  there.a = a.device.data();
  if (normalises) there.prologue = prologue.on_device();
  there.b = b.device.data();
  there.c = kept ? c.device.data() : nullptr;
  there.dc = dc.device.data();
  expect_outputs<MatmulGradients>("matmul_gradients_tensor_cores", host, there,
                                  {{"da", &MatmulGradients::da, m * k, n, type},
                                   {"db", &MatmulGradients::db, k * n, m, type},
                                   {"dbias", &MatmulGradients::dbias, n, m, DType::f32}},
                                  alone);
}

TEST(CudaMatmulGradients, FollowEveryActivation) {
  PILA_NEEDS_DEVICE();
  for (const Factors& factors : kFactors) {
    for (const Activation activation : kActivations) {
      for (const bool normalises : {false, true}) {
        expect_product({40, 16, 96}, factors, activation, normalises);
        expect_product({33, 24, 144}, factors, activation, normalises);
      }
    }
  }
}

TEST(CudaMatmulGradients, LeaveOutWhatIsNotWanted) {
  PILA_NEEDS_DEVICE();
  for (const Factors& factors : kFactors) {
    expect_product({50, 16, 96}, factors, Activation::relu6, true, true);
    expect_product({50, 32, 192}, factors, Activation::none, false, true);
  }
}

// Tiles are 64 rows, 32 of float32, and as many columns as fit.
TEST(CudaMatmulGradients, TakeAnySizeThatFits) {
  PILA_NEEDS_DEVICE();
  for (const Factors& factors : kFactors) {
    for (const std::int64_t m : {1, 32, 64, 65, 200}) {
      expect_product({m, 32, 192}, factors, Activation::relu6, false);
      expect_product({m, 8, 136}, factors, Activation::relu, true);
    }
    for (const std::int64_t n : {8, 16, 24, 128, 256}) {
      expect_product({40, 24, n}, factors, Activation::relu6, true);
    }
  }
  expect_product({40, 4, 20}, kFactors[2], Activation::relu6, true);
  expect_product({40, 28, 252}, kFactors[2], Activation::relu6, true);
}

// Blocks of several tiles, the last of which has fewer.
TEST(CudaMatmulGradients, ShareOutManyRows) {
  PILA_NEEDS_DEVICE();
  expect_product({64 * 300 + 5, 16, 24}, kFactors[0], Activation::relu6, true);
  expect_product({32 * 300 + 5, 8, 16}, kFactors[2], Activation::relu6, false);
}

TEST(CudaMatmulGradients, RefuseWhatDoesNotFit) {
  PILA_NEEDS_DEVICE();
  MatmulGradients args;
  args.type = DType::f16;
  args.m = 100;
  args.k = 16;
  args.n = 96;
  const auto is_taken = [](const MatmulGradients& gradients) {
    return device_under_test().table->matmul_gradients.select(gradients) != nullptr;
  };
  EXPECT_TRUE(is_taken(args));
  const auto refuses = [&](const auto& change) {
    MatmulGradients other = args;
    change(other);
    return !is_taken(other);
  };
  EXPECT_TRUE(refuses([](auto& other) { other.type = DType::f32; }));  // which may not be rounded
  EXPECT_TRUE(refuses([](auto& other) { other.activation = Activation::silu; }));
  EXPECT_TRUE(refuses([](auto& other) { other.m = 0; }));
  EXPECT_TRUE(refuses([](auto& other) { other.k = 40; }));
  EXPECT_TRUE(refuses([](auto& other) { other.k = 12; }));
  EXPECT_TRUE(refuses([](auto& other) { other.n = 264; }));
  EXPECT_TRUE(refuses([](auto& other) { other.n = 100; }));
}

}  // namespace
}  // namespace pila::test::gradients_test
