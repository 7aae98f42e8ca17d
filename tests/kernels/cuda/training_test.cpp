// Batch normalisation by the batch's statistics, and what happens to all parameters at once.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "kernels/args/norm.h"
#include "kernels/args/optimizer.h"
#include "tests/kernels/cuda/run_on_device.h"
#include "tests/support/random_data.h"

namespace pila::test::training_test {
namespace {

using namespace kernels;

std::vector<float> random_numbers(std::int64_t count, std::uint64_t seed, double low = -1, double high = 1) {
  return uniform_data<float>(static_cast<std::size_t>(count), seed, low, high);
}

// One array on both sides.
struct Input {
  explicit Input(const std::vector<float>& values) : host(values), device(values) {}
  std::vector<float> host;
  DeviceBuffer<float> device;
};

// ---- batch normalisation

struct Norm {
  Norm(DType stored, std::int64_t row_count, std::int64_t channel_count, Activation kind, double centre = 0)
      : type(stored),
        rows(row_count),
        channels(channel_count),
        activation(kind),
        x(type, random_numbers(rows * channels, 1, centre - 1, centre + 1)),
        dy(type, random_numbers(rows * channels, 2)),
        gamma(random_numbers(channels, 3, 0.5, 1.5)),
        beta(random_numbers(channels, 4)),
        mean(random_numbers(channels, 5, centre - 0.2, centre + 0.2)),
        variance(random_numbers(channels, 6, 0.2, 0.5)) {}

  template <class Args>
  Args args(bool on_device) const {
    Args args;
    args.type = on_device ? type : DType::f32;
    args.rows = rows;
    args.channels = channels;
    args.activation = activation;
    args.x = on_device ? static_cast<const void*>(x.device.data()) : x.host.data();
    args.gamma = on_device ? gamma.device.data() : gamma.host.data();
    args.beta = on_device ? beta.device.data() : beta.host.data();
    return args;
  }
  std::size_t numbers() const { return static_cast<std::size_t>(rows * channels); }

  DType type;
  std::int64_t rows, channels;
  Activation activation;
  TypedInput x, dy;
  Input gamma, beta, mean, variance;
};

// Sums of a few thousand numbers in float32, and one more rounding of what is stored.
double tolerance(DType type) { return 3e-6 + (type == DType::f32 ? 0 : half_unit(type)); }

void expect_training(const Norm& norm) {
  SCOPED_TRACE(std::to_string(norm.rows) + " rows of " + std::to_string(norm.channels));
  const auto channels = static_cast<std::size_t>(norm.channels);
  auto host = norm.args<BatchNormTraining>(false), device = norm.args<BatchNormTraining>(true);
  std::vector<float> y(norm.numbers()), mean(channels), variance(channels), scaling(3 * channels);
  host.y = y.data();
  host.mean = mean.data();
  host.variance = variance.data();
  host.scaling = scaling.data();
  run_entry(reference::table(), host);

  const DeviceBuffer<unsigned char> y_there(std::vector<unsigned char>(norm.numbers() * size_of(norm.type)));
  const DeviceBuffer<float> mean_there(mean), variance_there(variance), scaling_there(scaling);
  device.y = y_there.data();
  device.mean = mean_there.data();
  device.variance = variance_there.data();
  constexpr const char* kName = "batch_norm_training";
  EXPECT_TRUE(
      close_by_norm(run_on_device<float>(device, kName, &BatchNormTraining::mean, channels), mean, 1e-6));
  EXPECT_TRUE(close_by_norm(run_on_device<float>(device, kName, &BatchNormTraining::variance, channels),
                            variance, 3e-6));
  device.mean = mean_there.data();
  device.variance = variance_there.data();
  const auto normalised = run_typed(device, kName, &BatchNormTraining::y, norm.numbers());
  EXPECT_TRUE(close_by_norm(normalised, y, tolerance(norm.type)));
  // With the scaling handed out it is the same; or there is only that.
  device.scaling = scaling_there.data();
  EXPECT_TRUE(same_bits(run_typed(device, kName, &BatchNormTraining::y, norm.numbers()), normalised));
  device.y = nullptr;
  const auto actual = run_on_device<float>(device, kName, &BatchNormTraining::scaling, 3 * channels);
  for (std::size_t i = 0; i < 3; ++i) {
    const auto part = [&](const std::vector<float>& of) {
      return std::vector<float>(of.begin() + static_cast<std::ptrdiff_t>(i * channels),
                                of.begin() + static_cast<std::ptrdiff_t>((i + 1) * channels));
    };
    EXPECT_TRUE(close_by_norm(part(actual), part(scaling), 3e-6)) << "part " << i << " of the scaling";
  }
}

void expect_gradients(const Norm& norm, bool batch_statistics) {
  SCOPED_TRACE(std::to_string(norm.rows) + " rows of " + std::to_string(norm.channels));
  const auto channels = static_cast<std::size_t>(norm.channels);
  auto host = norm.args<BatchNormBackward>(false), device = norm.args<BatchNormBackward>(true);
  std::vector<float> dx(norm.numbers()), dgamma(channels), dbeta(channels);
  host.batch_statistics = device.batch_statistics = batch_statistics;
  host.mean = norm.mean.host.data();
  host.variance = norm.variance.host.data();
  host.dy = norm.dy.host.data();
  host.dx = dx.data();
  host.dgamma = dgamma.data();
  host.dbeta = dbeta.data();
  run_entry(reference::table(), host);

  device.mean = norm.mean.device.data();
  device.variance = norm.variance.device.data();
  device.dy = norm.dy.device.data();
  constexpr const char* kName = "batch_norm_backward";
  // What is not wanted is not computed, or goes nowhere.
  auto only = device;
  EXPECT_TRUE(
      close_by_norm(run_on_device<float>(only, kName, &BatchNormBackward::dgamma, channels), dgamma, 1e-5));
  only = device;
  EXPECT_TRUE(
      close_by_norm(run_on_device<float>(only, kName, &BatchNormBackward::dbeta, channels), dbeta, 1e-5));
  EXPECT_TRUE(close_by_norm(run_typed(device, kName, &BatchNormBackward::dx, norm.numbers()), dx,
                            tolerance(norm.type)));
}

constexpr DType kTypes[] = {DType::f32, DType::f16, DType::bf16};

// Around a block's 32 channels and 8 rows, and around parts of 64 rows.
TEST(CudaNormTraining, FollowsTheReference) {
  PILA_NEEDS_DEVICE();
  for (const DType type : kTypes) {
    for (const std::int64_t channels : {1, 31, 32, 33, 96}) {
      for (const std::int64_t rows : {1, 2, 7, 8, 9, 63, 65, 130, 515}) {
        const Norm norm(type, rows, channels, rows % 2 == 0 ? Activation::silu : Activation::none);
        expect_training(norm);
        expect_gradients(norm, rows % 2 == 0);
      }
    }
  }
}

TEST(CudaNormTraining, AppliesEveryActivation) {
  PILA_NEEDS_DEVICE();
  for (const auto activation :
       {Activation::none, Activation::relu, Activation::relu6, Activation::silu, Activation::sigmoid}) {
    const Norm norm(DType::f32, 100, 10, activation);
    expect_training(norm);
    expect_gradients(norm, true);
    expect_gradients(norm, false);
  }
}

// Two passes of the reference keep the variance's digits; so do sums about a number of the data.
TEST(CudaNormTraining, KeepsItsDigitsFarFromZero) {
  PILA_NEEDS_DEVICE();
  expect_training(Norm(DType::f32, 2000, 20, Activation::none, 1000));
}

TEST(CudaNormTraining, MovesAverages) {
  PILA_NEEDS_DEVICE();
  const Input value(random_numbers(100, 1));
  const auto before = random_numbers(100, 2);
  auto expected = before;
  MovingAverage args{DType::f32, 100, 0.9, value.host.data(), expected.data()};
  run_entry(reference::table(), args);
  count_run("moving_average");
  for (const auto& stream : device_under_test().streams) {
    const DeviceBuffer<float> average(before);
    args.value = value.device.data();
    args.average = average.data();
    ASSERT_TRUE(run_once(args, "moving_average", Weights::as_they_are, *stream));
    EXPECT_TRUE(close_each(average.values(), expected, 2e-7));  // two roundings of numbers below 1
  }
}

// ---- all parameters at once

// More segments than one launch takes, of sizes around a block's 2048 numbers.
std::vector<std::int64_t> segment_sizes() {
  std::vector<std::int64_t> sizes = {2047, 2048, 2049, 1, 0, 5000};
  for (std::int64_t i = 0; i < 150; ++i) sizes.push_back(1 + i % 7);
  return sizes;
}

// The same arrays on both sides, one for each segment.
struct Arrays {
  explicit Arrays(std::uint64_t seed, double low = -1, double high = 1) {
    for (const std::int64_t size : segment_sizes())
      arrays.emplace_back(random_numbers(size, seed++, low, high));
  }
  std::vector<Input> arrays;
};

void expect_close(Arrays& arrays, double tolerance) {
  for (Input& array : arrays.arrays) {
    EXPECT_TRUE(close_each(array.device.values(), array.host, tolerance)) << array.host.size() << " numbers";
  }
}

void reset(Arrays& arrays, const std::vector<std::vector<float>>& values) {
  for (std::size_t i = 0; i < values.size(); ++i) arrays.arrays[i].device.upload(values[i]);
  device_under_test().api->synchronize(device_under_test().stream());
}

std::vector<std::vector<float>> values_of(const Arrays& arrays) {
  std::vector<std::vector<float>> values;
  for (const Input& array : arrays.arrays) values.push_back(array.host);
  return values;
}

std::vector<std::vector<float>> values_there(const Arrays& arrays) {
  std::vector<std::vector<float>> values;
  for (const Input& array : arrays.arrays) values.push_back(array.device.values());
  return values;
}

bool is_averaged(std::size_t segment) { return segment % 4 != 1; }

// Moves those averages by a kernel of their own.
void average_on_device(const Arrays& parameters, const Arrays& averages, const DeviceBuffer<double>& momentum,
                       Stream& stream) {
  std::vector<AverageSegment> segments;
  for (std::size_t i = 0; i < averages.arrays.size(); ++i) {
    const Input &parameter = parameters.arrays[i], &average = averages.arrays[i];
    const auto count = static_cast<std::int64_t>(average.host.size());
    if (is_averaged(i)) segments.push_back({parameter.device.data(), average.device.data(), count});
  }
  const auto count = static_cast<std::int64_t>(segments.size());
  const WeightAverage args{DType::f32, segments.data(), count, momentum.data()};
  EXPECT_TRUE(run_once(args, "weight_average", Weights::as_they_are, stream));
}

TEST(CudaAdam, UpdatesAllParameters) {
  PILA_NEEDS_DEVICE();
  for (const float gradient_scale : {1.0f, 0.3f, std::numeric_limits<float>::quiet_NaN()}) {
    Arrays parameters(1), gradients(1000), first(2000, -0.1, 0.1), second(3000, 0, 0.01), averages(4000);
    const auto parameters_before = values_of(parameters), first_before = values_of(first),
               second_before = values_of(second), averages_before = values_of(averages);
    const Input rate({0.01f}), scale({gradient_scale});
    const std::vector<std::int64_t> step = {7};
    const DeviceBuffer<std::int64_t> step_there(step);
    const std::vector<double> momentum = {0.98};
    const DeviceBuffer<double> momentum_there(momentum);
    const auto args_of = [&](bool on_device, std::vector<AdamSegment>& segments) {
      segments.clear();
      for (std::size_t i = 0; i < gradients.arrays.size(); ++i) {
        const auto data = [&](Arrays& arrays) {
          Input& array = arrays.arrays[i];
          return on_device ? array.device.data() : array.host.data();
        };
        segments.push_back({data(parameters), data(gradients), data(first), data(second),
                            static_cast<std::int64_t>(gradients.arrays[i].host.size()), i % 2 == 0 ? 0.01 : 0,
                            i % 3 == 0 ? 0.5 : 1, is_averaged(i) ? data(averages) : nullptr});
      }
      Adam args;
      args.segments = segments.data();
      args.segment_count = static_cast<std::int64_t>(segments.size());
      args.step = on_device ? step_there.data() : step.data();
      args.rate = on_device ? rate.device.data() : rate.host.data();
      args.gradient_scale = on_device ? scale.device.data() : scale.host.data();
      args.momentum = on_device ? momentum_there.data() : momentum.data();
      return args;
    };
    std::vector<AdamSegment> segments;
    run_entry(reference::table(), args_of(false, segments));
    count_run("adam");
    for (const auto& stream : device_under_test().streams) {
      reset(parameters, parameters_before);
      reset(first, first_before);
      reset(second, second_before);
      reset(averages, averages_before);
      ASSERT_TRUE(run_once(args_of(true, segments), "adam", Weights::as_they_are, *stream));
      // A few roundings of numbers below 1; steps are below 0.1.
      expect_close(parameters, 3e-7);
      expect_close(first, 1e-7);
      expect_close(second, 1e-8);
      expect_close(averages, 3e-7);
      const auto moved = values_there(averages);
      reset(averages, averages_before);
      if (gradient_scale == gradient_scale) {
        average_on_device(parameters, averages, momentum_there, *stream);
      }
      EXPECT_EQ(moved, values_there(averages)) << "other bits than from the averages' own kernel";
    }
  }
}

TEST(CudaGradientNorm, AddsUpAllGradients) {
  PILA_NEEDS_DEVICE();
  const std::vector<float> loss_scale = {256};
  const DeviceBuffer<float> loss_scale_there(loss_scale);
  for (const bool scaled : {false, true})
    for (const double limit : {1.0, 1e9, std::numeric_limits<double>::infinity()}) {
      Arrays gradients(1);
      std::vector<GradientSegment> segments, there;
      for (Input& array : gradients.arrays) {
        const auto count = static_cast<std::int64_t>(array.host.size());
        segments.push_back({array.host.data(), count});
        there.push_back({array.device.data(), count});
      }
      float norm = 0, scale = 0;
      GradientNorm args{DType::f32, segments.data(), static_cast<std::int64_t>(segments.size()),
                        limit,      &norm,           &scale};
      args.loss_scale = scaled ? loss_scale.data() : nullptr;
      run_entry(reference::table(), args);
      args.loss_scale = scaled ? loss_scale_there.data() : nullptr;
      const DeviceBuffer<float> norm_there(std::vector<float>(1)), scale_there(std::vector<float>(1));
      args.segments = there.data();
      args.norm = norm_there.data();
      args.scale = scale_there.data();
      // Sums in float64 on both sides.
      EXPECT_FLOAT_EQ(run_on_device<float>(args, "gradient_norm", &GradientNorm::norm, 1)[0], norm);
      args.norm = norm_there.data();
      EXPECT_FLOAT_EQ(run_on_device<float>(args, "gradient_norm", &GradientNorm::scale, 1)[0], scale);
    }
}

TEST(CudaWeightAverage, AveragesAllWeights) {
  PILA_NEEDS_DEVICE();
  Arrays values(1), averages(1000);
  const auto before = values_of(averages);
  const std::vector<double> momentum = {0.98};
  const DeviceBuffer<double> momentum_there(momentum);
  std::vector<AverageSegment> segments, there;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const auto count = static_cast<std::int64_t>(before[i].size());
    segments.push_back({values.arrays[i].host.data(), averages.arrays[i].host.data(), count});
    there.push_back({values.arrays[i].device.data(), averages.arrays[i].device.data(), count});
  }
  const auto count = static_cast<std::int64_t>(segments.size());
  run_entry(reference::table(), WeightAverage{DType::f32, segments.data(), count, momentum.data()});
  count_run("weight_average");
  for (const auto& stream : device_under_test().streams) {
    reset(averages, before);
    const WeightAverage args{DType::f32, there.data(), count, momentum_there.data()};
    ASSERT_TRUE(run_once(args, "weight_average", Weights::as_they_are, *stream));
    expect_close(averages, 2e-7);
  }
}

}  // namespace
}  // namespace pila::test::training_test
