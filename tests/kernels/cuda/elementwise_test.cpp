#include <gtest/gtest.h>

#include "tests/kernels/cuda/run_on_device.h"
#include "tests/support/random_data.h"

namespace pila::test {
namespace {

using namespace kernels;

// Around a pack and a block.
constexpr std::size_t kLengths[] = {0, 1, 3, 4, 5, 1023, 1024, 1025, 20003};

// expected: what the reference makes of the same arguments on host memory.
template <class Args>
void expect_same(const Args& args, const char* name, void* Args::*output, const std::vector<float>& expected,
                 double tolerance) {
  EXPECT_TRUE(close_each(run_on_device<float>(args, name, output, expected.size()), expected, tolerance))
      << name << " on " << expected.size() << " elements";
}

TEST(CudaElementwise, FollowsTheReference) {
  PILA_NEEDS_DEVICE();
  for (const std::size_t count : kLengths) {
    const auto a = uniform_data<float>(count, 1, -8, 8), b = uniform_data<float>(count, 2, -8, 8);
    const DeviceBuffer<float> a_there(a), b_there(b);

    ActivationForward activation;
    activation.count = static_cast<std::int64_t>(count);
    for (const Activation kind :
         {Activation::none, Activation::relu, Activation::relu6, Activation::silu, Activation::sigmoid}) {
      activation.kind = kind;
      activation.x = a.data();
      const auto expected = run_reference<float>(activation, &ActivationForward::y, count);
      activation.x = a_there.data();
      expect_same(activation, "activation_f32", &ActivationForward::y, expected,
                  3e-6);  // expf: 2 units in the last place
    }

    Binary binary;
    binary.rank = 1;
    binary.shape[0] = static_cast<std::int64_t>(count);
    binary.a_strides[0] = binary.b_strides[0] = 1;
    for (const BinaryKind kind : {BinaryKind::add, BinaryKind::subtract, BinaryKind::multiply}) {
      binary.kind = kind;
      binary.a = a.data();
      binary.b = b.data();
      const auto expected = run_reference<float>(binary, &Binary::y, count);
      binary.a = a_there.data();
      binary.b = b_there.data();
      expect_same(binary, "binary_one_shape_f32", &Binary::y, expected, 0);
    }

    Affine affine;
    affine.count = static_cast<std::int64_t>(count);
    affine.factor = -0.5;
    affine.offset = 0.25;
    affine.x = a.data();
    const auto expected = run_reference<float>(affine, &Affine::y, count);
    affine.x = a_there.data();
    expect_same(affine, "affine_f32", &Affine::y, expected, 5e-7);  // one rounding of numbers up to 5

    Fill fill;
    fill.count = static_cast<std::int64_t>(count);
    fill.value = -1.25;
    expect_same(fill, "fill_f32", &Fill::y, std::vector<float>(count, -1.25f), 0);
  }
}

// 4 bytes behind an aligned address packs cannot be used.
TEST(CudaElementwise, TakesAddressesThatAreNotAligned) {
  PILA_NEEDS_DEVICE();
  constexpr std::size_t kCount = 1030;
  const auto x = uniform_data<float>(kCount, 1, -8, 8);
  const DeviceBuffer<float> there(x);
  ActivationForward relu;
  relu.count = kCount - 1;
  relu.x = x.data() + 1;
  const auto expected = run_reference<float>(relu, &ActivationForward::y, kCount - 1);
  relu.x = there.data() + 1;
  expect_same(relu, "activation_f32", &ActivationForward::y, expected, 0);
}

}  // namespace
}  // namespace pila::test
