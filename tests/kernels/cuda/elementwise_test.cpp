#include "kernels/args/elementwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "tests/kernels/cuda/run_on_device.h"
#include "tests/support/random_data.h"

namespace pila::test::elementwise_test {
namespace {

using namespace kernels;

constexpr DType kTypes[] = {DType::f32, DType::f16, DType::bf16};

// Around a pack of 4 or 8 and a block of 256 of them.
constexpr std::size_t kLengths[] = {0, 1, 3, 4, 5, 7, 8, 9, 1023, 1025, 2049, 5003};

// `expected` is what the reference makes of the same arguments on host memory; results in 16 bits are rounded
// once more, relative to numbers up to `largest`.
template <class Args>
void expect_same(const Args& args, const char* name, const std::vector<float>& expected, double tolerance,
                 double largest) {
  const double rounding = args.type == DType::f32 ? 0 : largest * half_unit(args.type);
  EXPECT_TRUE(close_each(run_typed(args, name, &Args::y, expected.size()), expected, tolerance + rounding))
      << name << " on " << expected.size() << " elements of type " << static_cast<int>(args.type);
}

TEST(CudaElementwise, FollowsTheReference) {
  PILA_NEEDS_DEVICE();
  for (const DType type : kTypes) {
    for (const std::size_t count : kLengths) {
      const TypedInput a(type, uniform_data<float>(count, 1, -8, 8));
      const TypedInput b(type, uniform_data<float>(count, 2, -8, 8));

      ActivationForward activation;
      activation.count = static_cast<std::int64_t>(count);
      for (const Activation kind :
           {Activation::none, Activation::relu, Activation::relu6, Activation::silu, Activation::sigmoid}) {
        activation.kind = kind;
        activation.type = DType::f32;
        activation.x = a.host.data();
        const auto expected = run_reference<float>(activation, &ActivationForward::y, count);
        activation.type = type;
        activation.x = a.device.data();
        expect_same(activation, "activation", expected, 3e-6, 8);  // expf: 2 units in the last place
      }

      Binary binary;
      binary.rank = 1;
      binary.shape[0] = static_cast<std::int64_t>(count);
      binary.a_strides[0] = binary.b_strides[0] = 1;
      for (const BinaryKind kind : {BinaryKind::add, BinaryKind::subtract, BinaryKind::multiply}) {
        binary.kind = kind;
        binary.type = DType::f32;
        binary.a = a.host.data();
        binary.b = b.host.data();
        const auto expected = run_reference<float>(binary, &Binary::y, count);
        binary.type = type;
        binary.a = a.device.data();
        binary.b = b.device.data();
        expect_same(binary, "binary_one_shape", expected, 0, 64);
      }

      Affine affine;
      affine.count = static_cast<std::int64_t>(count);
      affine.factor = -0.5;
      affine.offset = 0.25;
      affine.x = a.host.data();
      const auto expected = run_reference<float>(affine, &Affine::y, count);
      affine.type = type;
      affine.x = a.device.data();
      expect_same(affine, "affine", expected, 5e-7, 8);  // one rounding of numbers up to 5

      Fill fill;
      fill.type = type;
      fill.count = static_cast<std::int64_t>(count);
      fill.value = -1.25;
      expect_same(fill, "fill", std::vector<float>(count, -1.25f), 0, 0);
    }
  }
}

TEST(CudaElementwise, SendsGradientsThroughActivations) {
  PILA_NEEDS_DEVICE();
  for (const DType type : kTypes) {
    for (const std::size_t count : kLengths) {
      const TypedInput value(type, uniform_data<float>(count, 1, -8, 8));
      const TypedInput dy(type, uniform_data<float>(count, 2));
      ActivationBackward args;
      args.count = static_cast<std::int64_t>(count);
      for (const Activation kind :
           {Activation::none, Activation::relu, Activation::relu6, Activation::silu, Activation::sigmoid}) {
        args.kind = kind;
        args.type = DType::f32;
        args.value = value.host.data();
        args.dy = dy.host.data();
        const auto expected = run_reference<float>(args, &ActivationBackward::dx, count);
        args.type = type;
        args.value = value.device.data();
        args.dy = dy.device.data();
        // A sigmoid's slope of -8 * 9 at most; expf is off by 2 units.
        const double rounding = type == DType::f32 ? 0 : 72 * half_unit(type);
        EXPECT_TRUE(close_each(run_typed(args, "activation_backward", &ActivationBackward::dx, count),
                               expected, 2e-5 + rounding));
      }
    }
  }
}

// One element behind an aligned address packs cannot be used.
TEST(CudaElementwise, TakesAddressesThatAreNotAligned) {
  PILA_NEEDS_DEVICE();
  constexpr std::size_t kCount = 1030;
  for (const DType type : kTypes) {
    const TypedInput x(type, uniform_data<float>(kCount, 1, -8, 8));
    ActivationForward relu;
    relu.count = kCount - 1;
    relu.x = x.host.data() + 1;
    const auto expected = run_reference<float>(relu, &ActivationForward::y, kCount - 1);
    relu.type = type;
    relu.x = x.device.data() + size_of(type);
    expect_same(relu, "activation", expected, 0, 0);
  }
}

// [3, 4, 5] with [4, 1], as NumPy broadcasts.
TEST(CudaElementwise, Broadcasts) {
  PILA_NEEDS_DEVICE();
  for (const DType type : kTypes) {
    const TypedInput a(type, uniform_data<float>(60, 1)), b(type, uniform_data<float>(4, 2));
    Binary binary;
    binary.rank = 3;
    const std::int64_t shape[] = {3, 4, 5}, a_strides[] = {20, 5, 1}, b_strides[] = {0, 1, 0};
    for (int axis = 0; axis < 3; ++axis) {
      binary.shape[axis] = shape[axis];
      binary.a_strides[axis] = a_strides[axis];
      binary.b_strides[axis] = b_strides[axis];
    }
    for (const BinaryKind kind : {BinaryKind::add, BinaryKind::subtract, BinaryKind::multiply}) {
      binary.kind = kind;
      binary.type = DType::f32;
      binary.a = a.host.data();
      binary.b = b.host.data();
      const auto expected = run_reference<float>(binary, &Binary::y, 60);
      binary.type = type;
      binary.a = a.device.data();
      binary.b = b.device.data();
      expect_same(binary, "binary_broadcast", expected, 0, 2);
    }
  }
}

// The same elements are dropped as on every other device.
TEST(CudaDropout, DropsTheReferencesElements) {
  PILA_NEEDS_DEVICE();
  const std::vector<std::int64_t> step = {41};
  const DeviceBuffer<std::int64_t> step_there(step);
  for (const DType type : kTypes) {
    for (const auto& [group, first] : {std::pair(1, 0), {1, 4}, {1, 7}, {7, 0}, {7, 5}}) {
      for (const std::int64_t count : {0, 1, 5, 1027}) {
        const TypedInput x(type, uniform_data<float>(static_cast<std::size_t>(count), 1, 1, 2));
        Dropout args;
        args.count = count;
        args.group = group;
        args.first = first;
        args.rate = 0.25;
        args.seed = 5;
        args.place = 3;
        args.step = step.data();
        args.x = x.host.data();
        const auto expected = run_reference<float>(args, &Dropout::y, static_cast<std::size_t>(count));
        args.type = type;
        args.step = step_there.data();
        args.x = x.device.data();
        expect_same(args, "dropout", expected, 0, 4);
      }
    }
  }
}

struct Element {
  DType type;
  std::vector<unsigned char> bytes;
};

template <class T>
std::vector<unsigned char> bytes_of(const std::vector<T>& values) {
  const auto* begin = reinterpret_cast<const unsigned char*>(values.data());
  return {begin, begin + values.size() * sizeof(T)};
}

// Everything that can be rounded in two ways, does not fit, or is no number; the reference's bits.
TEST(CudaCast, GivesTheReferencesBits) {
  PILA_NEEDS_DEVICE();
  std::vector<float> numbers = uniform_data<float>(1000, 1, -300, 300);
  for (const float special :
       {0.0f, -0.0f, 0.5f, 1.5f, 2.5f, -0.5f, 255.5f, 256.0f, 1e10f, -1e10f, 3e38f, 65519.0f, 65520.0f, 1e-7f,
        std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
    numbers.push_back(special);
  }
  const std::size_t count = numbers.size();
  std::vector<Element> sources;
  for (const DType type : kTypes) sources.push_back({type, to_bytes(type, numbers)});
  sources.push_back({DType::u8, integer_data<unsigned char>(count, 2, 0, 255)});
  sources.push_back({DType::i32, bytes_of(integer_data<std::int32_t>(count, 3, -2000000000, 2000000000))});
  sources.push_back({DType::i64, bytes_of(integer_data<std::int64_t>(count, 4, -1 << 24, 1 << 24))});

  for (const Element& source : sources) {
    const DeviceBuffer<unsigned char> there(source.bytes);
    for (const DType to : {DType::f32, DType::f16, DType::bf16, DType::u8, DType::i32, DType::i64}) {
      const auto is_integer = [](DType type) {
        return size_of(type) == 8 || type == DType::u8 || type == DType::i32;
      };
      if (is_integer(source.type) && is_integer(to)) continue;
      Cast args;
      args.from = source.type;
      args.to = to;
      args.count = static_cast<std::int64_t>(count);
      args.x = source.bytes.data();
      const auto expected = run_reference<unsigned char>(args, &Cast::y, count * size_of(to));
      args.x = there.data();
      EXPECT_EQ(run_on_device<unsigned char>(args, "cast", &Cast::y, count * size_of(to)), expected)
          << static_cast<int>(source.type) << " to " << static_cast<int>(to);
    }
  }
}

TEST(CudaCast, KeepsWhatIsNoNumber) {
  PILA_NEEDS_DEVICE();
  const std::vector<float> nan = {std::numeric_limits<float>::quiet_NaN()};
  const DeviceBuffer<float> there(nan);
  for (const DType to : kTypes) {
    const Cast args{DType::f32, to, 1, there.data(), nullptr};
    EXPECT_TRUE(
        std::isnan(from_bytes(to, run_on_device<unsigned char>(args, "cast", &Cast::y, size_of(to)))[0]));
  }
  const Cast args{DType::f32, DType::i32, 1, there.data(), nullptr};
  EXPECT_EQ(run_on_device<std::int32_t>(args, "cast", &Cast::y, 1)[0], 0);
}

}  // namespace
}  // namespace pila::test::elementwise_test
