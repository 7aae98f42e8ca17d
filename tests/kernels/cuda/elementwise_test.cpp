#include <gtest/gtest.h>

#include "kernels/reference/reference.h"
#include "tests/kernels/cuda/gpu.h"
#include "tests/support/compare.h"
#include "tests/support/random_data.h"
#include "tests/support/run_kernel.h"

namespace pila::test {
namespace {

using namespace kernels;

// Around a pack and a block.
constexpr std::size_t kLengths[] = {0, 1, 3, 4, 5, 1023, 1024, 1025, 100003};

template <class Args>
std::vector<float> expected_of(Args args, void* Args::*output, std::size_t count) {
  std::vector<float> y(count);
  args.*output = y.data();
  run_entry(reference::table(), args);
  return y;
}

// expected: what the reference makes of the same arguments on host memory. The output also starts 4 bytes
// behind an aligned address, where packs cannot be used.
template <class Args>
void expect_same(Args args, void* Args::*output, const std::vector<float>& expected, double tolerance) {
  GpuUnderTest gpu;
  for (const std::size_t offset : {std::size_t{0}, std::size_t{1}}) {
    const GpuBuffer<float> y(gpu, std::vector<float>(expected.size() + offset));
    args.*output = y.data() + offset;
    run_entry(cuda::table(), args, *gpu.stream);
    auto actual = y.values();
    actual.erase(actual.begin(), actual.begin() + static_cast<std::ptrdiff_t>(offset));
    EXPECT_TRUE(close_each(actual, expected, tolerance)) << expected.size() << " elements";
  }
}

TEST(CudaElementwise, FollowsTheReference) {
  PILA_NEED_GPU();
  GpuUnderTest gpu;
  for (const std::size_t count : kLengths) {
    const auto a = uniform_data<float>(count, 1, -8, 8), b = uniform_data<float>(count, 2, -8, 8);
    const GpuBuffer<float> a_there(gpu, a), b_there(gpu, b);
    gpu.api->synchronize(*gpu.stream);

    ActivationForward activation;
    activation.count = static_cast<std::int64_t>(count);
    for (const Activation kind :
         {Activation::none, Activation::relu, Activation::relu6, Activation::silu, Activation::sigmoid}) {
      activation.kind = kind;
      activation.x = a.data();
      const auto expected = expected_of(activation, &ActivationForward::y, count);
      activation.x = a_there.data();
      expect_same(activation, &ActivationForward::y, expected, 3e-6);  // expf: 2 units in the last place
    }

    Binary binary;
    binary.rank = 1;
    binary.shape[0] = static_cast<std::int64_t>(count);
    binary.a_strides[0] = binary.b_strides[0] = 1;
    for (const BinaryKind kind : {BinaryKind::add, BinaryKind::subtract, BinaryKind::multiply}) {
      binary.kind = kind;
      binary.a = a.data();
      binary.b = b.data();
      const auto expected = expected_of(binary, &Binary::y, count);
      binary.a = a_there.data();
      binary.b = b_there.data();
      expect_same(binary, &Binary::y, expected, 0);
    }

    Affine affine;
    affine.count = static_cast<std::int64_t>(count);
    affine.factor = -0.5;
    affine.offset = 0.25;
    affine.x = a.data();
    const auto expected = expected_of(affine, &Affine::y, count);
    affine.x = a_there.data();
    expect_same(affine, &Affine::y, expected, 5e-7);  // one rounding of numbers up to 5

    Fill fill;
    fill.count = static_cast<std::int64_t>(count);
    fill.value = -1.25;
    expect_same(fill, &Fill::y, std::vector<float>(count, -1.25f), 0);
  }
}

}  // namespace
}  // namespace pila::test
