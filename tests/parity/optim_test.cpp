// Clipping, decay, averages and rates against Keras. golden_optim.py has the same cases under the same names.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/optim/adam.h"
#include "engine/optim/average.h"
#include "engine/optim/schedule.h"
#include "tests/parity/device_under_test.h"
#include "tests/parity/golden_file.h"

namespace pila::test {
namespace {

struct Weight {
  const char* name;
  Shape shape;
  bool is_kernel;
};
const Weight kWeights[] = {{"kernel", {5, 7}, true}, {"bias", {7}, false}, {"gamma", {3}, false}};
constexpr int kSteps = 6;

class Optim : public testing::TestWithParam<DeviceUnderTest> {
 protected:
  Tensor generated_tensor(const std::string& name, const Shape& shape, double factor = 1) const {
    std::vector<double> values = generated(name, static_cast<std::size_t>(shape.elements()));
    for (double& value : values) value *= factor;
    return to_device(ctx_, type_, shape, values);
  }

  void expect(const std::string& name, const Tensor& actual) const {
    const auto [difference, expected] = golden_.distance(name, to_host(ctx_, actual));
    EXPECT_LE(difference, tolerance_ * expected) << name;
  }

  // kSteps with gradients that are long and short in turn; says how many were clipped.
  int train(const std::string& name, const AdamOptions& options, bool decay_kernels_only = false,
            double average_momentum = 0) const {
    std::vector<AdamParameter> parameters;
    std::vector<Tensor> values;
    for (const Weight& weight : kWeights) {
      values.push_back(generated_tensor(std::string("optim/") + weight.name, weight.shape));
      parameters.push_back({values.back(), decay_kernels_only && !weight.is_kernel ? 0.0 : -1.0});
    }
    Adam adam(ctx_, parameters, options);
    ExponentialAverage average(ctx_, values, {.momentum = average_momentum});
    int clipped = 0;
    for (int step = 0; step < kSteps; ++step) {
      Gradients gradients;
      for (std::size_t i = 0; i < values.size(); ++i) {
        gradients.set(values[i],
                      generated_tensor("optim/gradient_" + std::to_string(step) + "/" + kWeights[i].name,
                                       kWeights[i].shape, step % 2 == 0 ? 4 : 0.25));
      }
      adam.step(ctx_, gradients, 0.01);
      average.update(ctx_);
      clipped += to_host(ctx_, adam.gradient_norm())[0] > options.clip_norm ? 1 : 0;
      for (std::size_t i = 0; i < values.size(); ++i) {
        expect(name + "/after_" + std::to_string(step) + "/" + kWeights[i].name, values[i]);
      }
    }
    if (average_momentum > 0) {
      for (std::size_t i = 0; i < values.size(); ++i) {
        expect(name + "/average/" + kWeights[i].name, average.averages()[i]);
      }
    }
    return clipped;
  }

  const DType type_ = GetParam().type;
  const Context ctx_{GetParam().make()};
  const GoldenFile golden_{"optim.golden"};
  // float32: six roundings of a weight, and of the moments behind each step, which is a hundredth of it.
  const double tolerance_ = type_ == DType::f64 ? 1e-13 : 1e-6;
};

TEST_P(Optim, DecaysAllWeights) { EXPECT_EQ(train("decay_all", {.weight_decay = 0.1}), 0); }

TEST_P(Optim, ClipsByTheGlobalNorm) {
  EXPECT_EQ(train("clipped", {.weight_decay = 0.1, .clip_norm = 2}), kSteps / 2);
}

TEST_P(Optim, ExcludesBiasAndBatchNormFromDecay) {
  train("excluded", {.weight_decay = 0.1, .clip_norm = 2}, true);
}

TEST_P(Optim, AveragesWeights) { train("averaged", {.weight_decay = 0.1}, false, 0.9); }

INSTANTIATE_TEST_SUITE_P(Keras, Optim, testing::Values(kReferenceInDouble, kCpuInFloat), precision_of);

TEST(Schedule, FallsAsKerasCosineDecay) {
  const GoldenFile golden("optim.golden");
  const auto check = [&](const std::string& name, const Schedule& schedule) {
    const std::vector<double> expected = golden.values(name);
    for (std::size_t step = 0; step < expected.size(); ++step) {
      // Keras computes rates in float32.
      EXPECT_NEAR(rate_at(schedule, static_cast<std::int64_t>(step)), expected[step], 3e-9)
          << name << " " << step;
    }
  };
  check("cosine", {ScheduleKind::cosine, 0.02, 0, 20, 0.1});
  check("cosine_with_warm_up", {ScheduleKind::cosine, 0.02, 5, 15, 0});
}

}  // namespace
}  // namespace pila::test
