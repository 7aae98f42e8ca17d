// Batch normalisation folded into a convolution's weights, and what comes back of the gradients.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/args/norm.h"
#include "tests/kernels/cuda/run_on_device.h"
#include "tests/support/random_data.h"

namespace pila::test::fold_norm_test {
namespace {

using namespace kernels;

TypedInput random_numbers(std::int64_t count, std::uint64_t seed, double low = -1, double high = 1) {
  return {DType::f32, uniform_data<float>(static_cast<std::size_t>(count), seed, low, high)};
}

struct Fold {
  Fold(std::int64_t row_count, std::int64_t channel_count)
      : rows(row_count),
        channels(channel_count),
        w(random_numbers(rows * channels, 1)),
        gamma(random_numbers(channels, 2, 0.5, 1.5)),
        beta(random_numbers(channels, 3)),
        mean(random_numbers(channels, 4)),
        variance(random_numbers(channels, 5, 0.01, 0.5)),
        dfolded(random_numbers(rows * channels, 6)),
        dbias(random_numbers(channels, 7)) {}

  FoldBatchNorm forward(bool on_device) const {
    const auto data = [&](const TypedInput& input) { return data_of(input, on_device); };
    return {DType::f32, rows,       channels,       1e-3,    data(w), data(gamma),
            data(beta), data(mean), data(variance), nullptr, nullptr};
  }
  FoldBatchNormBackward backward(bool on_device) const {
    const auto data = [&](const TypedInput& input) { return data_of(input, on_device); };
    return {DType::f32, rows,           channels,      1e-3,        data(w), data(gamma),
            data(mean), data(variance), data(dfolded), data(dbias), nullptr, nullptr};
  }

  std::int64_t rows, channels;
  TypedInput w, gamma, beta, mean, variance, dfolded, dbias;

 private:
  static const void* data_of(const TypedInput& input, bool on_device) {
    return on_device ? static_cast<const void*>(input.device.data()) : input.host.data();
  }
};

// Roundings of a few float32 numbers, and of sums of up to a thousand.
constexpr double kOfNumbers = 4e-7, kOfSums = 2e-6;

void expect_agreement(std::int64_t rows, std::int64_t channels) {
  SCOPED_TRACE(std::to_string(rows) + " rows of " + std::to_string(channels));
  const Fold fold(rows, channels);
  const auto of_channels = static_cast<std::size_t>(channels),
             count = of_channels * static_cast<std::size_t>(rows);
  // What a kernel writes beside the output that is looked at.
  std::vector<float> folded(count), bias(of_channels);
  auto host = fold.forward(false);
  host.folded = folded.data();
  host.bias = bias.data();
  run_entry(reference::table(), host);
  const DeviceBuffer<float> folded_there(folded), bias_there(bias);
  auto device = fold.forward(true);
  device.bias = bias_there.data();
  constexpr const char* kForward = "fold_batch_norm";
  EXPECT_TRUE(close_by_norm(run_on_device<float>(device, kForward, &FoldBatchNorm::folded, count), folded,
                            kOfNumbers));
  device.folded = folded_there.data();
  EXPECT_TRUE(close_by_norm(run_on_device<float>(device, kForward, &FoldBatchNorm::bias, of_channels), bias,
                            kOfNumbers));

  // Each gradient alone, then both: what is not wanted is not written.
  using Backward = FoldBatchNormBackward;
  constexpr const char* kBackward = "fold_batch_norm_backward";
  const auto dw = run_reference<float>(fold.backward(false), &Backward::dw, count);
  const auto dgamma = run_reference<float>(fold.backward(false), &Backward::dgamma, of_channels);
  auto back = fold.backward(true);
  EXPECT_TRUE(close_by_norm(run_on_device<float>(back, kBackward, &Backward::dw, count), dw, kOfNumbers));
  EXPECT_TRUE(
      close_by_norm(run_on_device<float>(back, kBackward, &Backward::dgamma, of_channels), dgamma, kOfSums));
  const DeviceBuffer<float> dw_there(std::vector<float>(count, 0.0f));
  back.dw = dw_there.data();
  EXPECT_TRUE(
      close_by_norm(run_on_device<float>(back, kBackward, &Backward::dgamma, of_channels), dgamma, kOfSums));
  EXPECT_TRUE(close_by_norm(dw_there.values(), dw, kOfNumbers));
}

// Around a block's 32 channels and 32 rows.
TEST(CudaFoldNorm, FollowsTheReference) {
  PILA_NEEDS_DEVICE();
  for (const std::int64_t channels : {1, 31, 32, 33, 96}) {
    for (const std::int64_t rows : {1, 9, 31, 32, 33, 100}) expect_agreement(rows, channels);
  }
}

// The first convolution, depthwise ones, and the last.
TEST(CudaFoldNorm, TakesMobileNetsWeights) {
  PILA_NEEDS_DEVICE();
  expect_agreement(27, 32);
  expect_agreement(9, 960);
  expect_agreement(960, 160);
  expect_agreement(320, 1280);
  expect_agreement(0, 16);
}

}  // namespace
}  // namespace pila::test::fold_norm_test
