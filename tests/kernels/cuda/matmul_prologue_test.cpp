// Products that normalise their first factor as they read it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/args/matmul.h"
#include "kernels/args/norm.h"
#include "tests/kernels/cuda/matrices.h"
#include "tests/kernels/cuda/typed_prologue.h"

namespace pila::test::matmul_prologue_test {
namespace {

using namespace kernels;

struct Case {
  std::int64_t m, n, k;
  bool transpose_a = false, transpose_b = false;
  Activation activation = Activation::relu6;
  std::int64_t shift = 0;  // of the scaling, in floats

  std::string name() const {
    return std::to_string(m) + " x " + std::to_string(n) + " x " + std::to_string(k) +
           (transpose_a ? " at" : "") + (transpose_b ? " bt" : "") + " activation " +
           std::to_string(static_cast<int>(activation));
  }
};

struct Factors {
  DType type;
  Precision rounding = Precision::f32;

  std::string name() const {
    return "type " + std::to_string(static_cast<int>(type)) + (rounding == Precision::tf32 ? ", tf32" : "");
  }
};
// What tensor cores multiply, and what they do not.
constexpr Factors kFactors[] = {{DType::f16}, {DType::bf16}, {DType::f32, Precision::tf32}};
constexpr Factors kPlain[] = {{DType::f32}, {DType::f16}, {DType::bf16}};

// As of products whose factors are read as they are.
double tolerance(DType type, std::int64_t k) {
  return 8e-7 * (2 + std::sqrt(static_cast<double>(k))) + (type == DType::f32 ? 0 : half_unit(type));
}

// The reference of float32 has the same prologue; that of rounded factors, the numbers that are to be
// multiplied.
void expect_agreement(const char* kernel, const Case& which, const Factors& factors) {
  SCOPED_TRACE(which.name() + ", " + factors.name());
  const DType type = factors.type;
  const std::int64_t distinct = which.transpose_a ? which.m : std::min(which.m, kDistinctRows);
  const TypedPrologue prologue(which.transpose_a ? which.m : which.k, which.activation, which.shift);
  const std::vector<float> a = rounded(type, random_matrix(distinct, which.k, 1));
  const std::vector<float> read = prologue.read(type, a), bias = random_matrix(1, which.n, 3);
  const TypedInput b(type, random_matrix(which.k, which.n, 2));
  const bool is_exact = type == DType::f32 && factors.rounding == Precision::f32;

  Matmul args;
  args.m = distinct;
  args.n = which.n;
  args.k = which.k;
  args.transpose_a = which.transpose_a;
  args.transpose_b = which.transpose_b;
  args.rounding.to = factors.rounding;
  args.a = is_exact ? a.data() : read.data();
  args.b = b.host.data();
  args.epilogue.bias = bias.data();
  if (is_exact) args.prologue = prologue.on_host();
  const auto expected = run_reference<float>(args, &Matmul::c, static_cast<std::size_t>(distinct * which.n));

  const DeviceBuffer<unsigned char> a_there(to_bytes(type, repeat(a, which.m * which.k)));
  const DeviceBuffer<float> bias_there(bias);
  args.type = type;
  args.m = which.m;
  args.a = a_there.data();
  args.b = b.device.data();
  args.epilogue.bias = bias_there.data();
  args.prologue = prologue.on_device();
  const auto actual = run_typed(args, kernel, &Matmul::c, static_cast<std::size_t>(which.m * which.n));
  EXPECT_TRUE(close_by_norm(actual, repeat(expected, which.m * which.n), tolerance(type, which.k)));
}

void expect_by_tensor_cores(const Case& which, const Factors& factors) {
  expect_agreement("matmul_tensor_cores", which, factors);
}

void expect_plain(const Case& which, const Factors& factors) {
  const char* name = factors.type == DType::f32   ? "matmul_f32"
                     : factors.type == DType::f16 ? "matmul_f16"
                                                  : "matmul_bf16";
  expect_agreement(name, which, factors);
}

// Around tiles of 64 x 64, a depth of 32, and of TF32 16.
TEST(CudaMatmulPrologue, ReadsForTensorCores) {
  PILA_NEEDS_DEVICE();
  for (const Factors& factors : kFactors) {
    for (const bool transpose_a : {false, true}) {
      for (const std::int64_t m : {8, 64, 72}) {
        for (const std::int64_t n : {8, 64, 136}) {
          for (const std::int64_t k : {8, 16, 32, 40, 136}) {
            expect_by_tensor_cores({m, n, k, transpose_a, false}, factors);
            expect_by_tensor_cores({m, n, k, transpose_a, false, Activation::none}, factors);
          }
        }
      }
    }
    for (const std::int64_t m : {1, 63, 65}) expect_by_tensor_cores({m, 24, 16}, factors);
    for (const std::int64_t k : {1, 31, 33}) expect_by_tensor_cores({16, 24, k, true}, factors);
  }
  for (const DType type : {DType::f16, DType::bf16}) {
    expect_by_tensor_cores({70, 24, 40, false, false, Activation::silu}, {type});
    expect_by_tensor_cores({24, 40, 70, true, false, Activation::silu}, {type});
  }
  expect_by_tensor_cores({5, 12, 20}, kFactors[2]);  // packs of four
  expect_by_tensor_cores({20, 12, 5, true}, kFactors[2]);
}

// Pointwise convolutions that expand and project, and their weights' gradients.
TEST(CudaMatmulPrologue, ReadsMobileNetsImages) {
  PILA_NEEDS_DEVICE();
  for (const Factors& factors : kFactors) {
    expect_by_tensor_cores({3136, 16, 32}, factors);
    expect_by_tensor_cores({784, 144, 24, false, false, Activation::none}, factors);
    expect_by_tensor_cores({196, 96, 576}, factors);
    expect_by_tensor_cores({49, 320, 960}, factors);
    expect_by_tensor_cores({32, 16, 3136, true}, factors);
    expect_by_tensor_cores({24, 144, 784, true, false, Activation::none}, factors);
    expect_by_tensor_cores({576, 96, 196, true}, factors);
  }
}

// Enough for tiles of 128 x 128.
TEST(CudaMatmulPrologue, ReadsForLargeTiles) {
  PILA_NEEDS_DEVICE();
  for (const Factors& factors : kFactors) {
    expect_by_tensor_cores({128 * 48 - 5, 256, 40}, factors);
    expect_by_tensor_cores({128 * 12 - 8, 128 * 8 - 8, 24, true}, factors);
  }
}

// The depth of few tiles is cut into parts, each of which begins at its own channels, or rows.
TEST(CudaMatmulPrologue, CutsLongSums) {
  PILA_NEEDS_DEVICE();
  for (const Factors& factors : kFactors) {
    expect_by_tensor_cores({9, 72, 2056}, factors);
    expect_by_tensor_cores({40, 24, 2051, true}, factors);
  }
  for (const Factors& factors : kPlain) {
    const bool shifted = factors.type != DType::f32;  // else tensor cores take it
    for (const bool transpose_a : {false, true}) {
      expect_plain({40, 24, 1000, transpose_a, false, Activation::relu6, shifted}, factors);
    }
  }
}

// Tiles of plain float32 are 64 x 64, and 16 deep.
TEST(CudaMatmulPrologue, ReadsForPlainFloat32) {
  PILA_NEEDS_DEVICE();
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      for (const std::int64_t m : {1, 63, 64, 65}) {
        for (const std::int64_t n : {3, 31, 67}) {  // of one sum, nothing may be left
          for (const std::int64_t k : {1, 15, 16, 17, 33}) {
            expect_plain({m, n, k, transpose_a, transpose_b}, kPlain[0]);
          }
        }
      }
      for (const Activation activation : {Activation::none, Activation::relu6, Activation::silu}) {
        for (const Factors& factors : kPlain) {
          expect_plain({13, 17, 19, transpose_a, transpose_b, activation}, factors);
          expect_plain({1, 17, 19, transpose_a, transpose_b, activation}, factors);
        }
      }
    }
  }
}

// Transposed second factors, and scalings that begin anywhere.
TEST(CudaMatmulPrologue, LeavesWhatTensorCoresDoNotTake) {
  PILA_NEEDS_DEVICE();
  for (const DType type : {DType::f16, DType::bf16}) {
    expect_plain({40, 24, 16, false, true}, {type});
    expect_plain({40, 24, 16, true, true}, {type});
    expect_plain({40, 24, 16, false, false, Activation::relu6, 1}, {type});
  }
}

// What is multiplied is rounded first: no sum shows what the type cannot hold.
TEST(CudaMatmulPrologue, RoundsWhatItReads) {
  PILA_NEEDS_DEVICE();
  constexpr std::int64_t kSize = 40, kCount = kSize * kSize;
  const auto zeros_and_ones = integer_data<float>(kCount, 1, 0, 1);
  const std::vector<float> ones(kCount, 1.0f), signs = integer_data<float>(kCount, 2, -1, 1);
  const TypedPrologue prologue = TypedPrologue::of_nearly_one(kSize);
  for (const DType type : {DType::f16, DType::bf16}) {
    const TypedInput a(type, zeros_and_ones), b(type, signs);
    for (const bool transpose_b : {false, true}) {  // tensor cores, and plain float32
      Matmul args;
      args.m = args.n = args.k = kSize;
      args.transpose_b = transpose_b;
      args.a = ones.data();
      args.b = signs.data();
      const auto expected = run_reference<float>(args, &Matmul::c, kCount);
      args.type = type;
      args.a = a.device.data();
      args.b = b.device.data();
      args.prologue = prologue.on_device();
      const char* plain = type == DType::f16 ? "matmul_f16" : "matmul_bf16";
      EXPECT_TRUE(close_each(run_typed(args, transpose_b ? plain : "matmul_tensor_cores", &Matmul::c, kCount),
                             expected, 0));
    }
  }
}

// Who normalises makes no difference: x times the identity is what batch normalisation writes.
TEST(CudaMatmulPrologue, GivesTheBitsOfBatchNormalisation) {
  PILA_NEEDS_DEVICE();
  constexpr std::int64_t kRows = 70, kChannels = 40, kCount = kRows * kChannels;
  std::vector<float> identity(kChannels * kChannels);
  for (std::size_t i = 0; i < kChannels; ++i) identity[i * kChannels + i] = 1;
  for (const Factors& factors : kPlain) {
    for (const Activation activation : {Activation::none, Activation::relu6, Activation::silu}) {
      const DType type = factors.type;
      const TypedInput x(type, random_matrix(kRows, kChannels, 1)), one(type, identity);
      const DeviceBuffer<float> gamma(random_matrix(1, kChannels, 2)), beta(random_matrix(1, kChannels, 3));
      const DeviceBuffer<float> mean(random_matrix(1, kChannels, 4)), scaling(random_matrix(3, kChannels, 5));
      BatchNormTraining norm;
      norm.type = type;
      norm.rows = kRows;
      norm.channels = kChannels;
      norm.activation = activation;
      norm.x = x.device.data();
      norm.gamma = gamma.data();
      norm.beta = beta.data();
      norm.mean = norm.variance = mean.data();
      norm.scaling = scaling.data();
      const auto y = run_typed(norm, "batch_norm_training", &BatchNormTraining::y, kCount);

      Matmul args;
      args.type = type;
      args.m = kRows;
      args.n = args.k = kChannels;
      args.a = x.device.data();
      args.b = one.device.data();
      args.prologue = {scaling.data(), activation};
      const char* name = type == DType::f32 ? "matmul_f32" : "matmul_tensor_cores";
      EXPECT_TRUE(close_each(run_typed(args, name, &Matmul::c, kCount), y, 0)) << factors.name();
    }
  }
}

}  // namespace
}  // namespace pila::test::matmul_prologue_test
