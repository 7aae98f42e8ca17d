#include "kernels/args/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/reference/reference.h"
#include "tests/support/compare.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/random_data.h"
#include "tests/support/run_kernel.h"

namespace pila::kernels::optimizer_test {
namespace {

using test::close_by_norm;
using test::GuardedBuffer;
using test::run_entry;
using test::uniform_data;

// One weight in long double.
struct Weight {
  long double w, m = 0, v = 0;

  void update(long double g, int step, long double rate, long double decay, const Adam& adam) {
    const long double beta1 = adam.beta1, beta2 = adam.beta2;
    w -= w * decay * rate;
    m = m * beta1 + g * (1 - beta1);
    v = v * beta2 + g * g * (1 - beta2);
    const long double m_hat = m / (1 - powl(beta1, step));
    const long double v_root = sqrtl(v) / sqrtl(1 - powl(beta2, step));
    // Keras adds epsilon before the second moment's bias is corrected.
    w -= rate * m_hat / (v_root + adam.epsilon / sqrtl(1 - powl(beta2, step)));
  }
};

template <class T>
void check(bool scaled) {
  constexpr int kSteps = 12;
  const std::size_t counts[] = {5, 0, 33};
  const double decays[] = {0.004, 0, 0}, factors[] = {1, 2, 0.1};
  std::int64_t step = 0;
  const T rate = static_cast<T>(0.01), gradient_scale = static_cast<T>(0.125);
  std::vector<GuardedBuffer<T>> parameters, gradients, first, second;
  std::vector<AdamSegment> segments;
  std::vector<std::vector<Weight>> expected;
  for (std::size_t s = 0; s < 3; ++s) {
    parameters.emplace_back(uniform_data<T>(counts[s], s));
    gradients.emplace_back(counts[s]);
    first.emplace_back(std::vector<T>(counts[s]));
    second.emplace_back(std::vector<T>(counts[s]));
    segments.push_back({parameters[s].data(), gradients[s].data(), first[s].data(), second[s].data(),
                        static_cast<std::int64_t>(counts[s]), decays[s], factors[s]});
    for (const T value : parameters[s]) {
      expected.resize(s + 1);
      expected[s].push_back({value});
    }
  }
  expected.resize(3);
  Adam adam;
  adam.type = sizeof(T) == 8 ? DType::f64 : DType::f32;
  adam.segments = segments.data();
  adam.segment_count = 3;
  adam.step = &step;
  adam.rate = &rate;
  if (scaled) adam.gradient_scale = &gradient_scale;

  for (step = 1; step <= kSteps; ++step) {
    for (std::size_t s = 0; s < 3; ++s) {
      test::fill_uniform(gradients[s], static_cast<std::uint64_t>(100 * step) + s);
      for (std::size_t i = 0; i < counts[s]; ++i) {
        const long double g = static_cast<long double>(gradients[s][i]) * (scaled ? gradient_scale : T{1});
        expected[s][i].update(g, static_cast<int>(step), static_cast<long double>(rate) * factors[s],
                              decays[s], adam);
      }
    }
    run_entry(reference::table(), adam);
  }
  for (std::size_t s = 0; s < 3; ++s) {
    std::vector<double> w, m, v;
    for (const auto& weight : expected[s]) {
      w.push_back(static_cast<double>(weight.w));
      m.push_back(static_cast<double>(weight.m));
      v.push_back(static_cast<double>(weight.v));
    }
    for (const auto* buffer : {&parameters[s], &gradients[s], &first[s], &second[s]}) {
      EXPECT_TRUE(buffer->check());
    }
    // 1 - beta2 has lost three digits in either precision of the scalars; twelve steps add up their
    // roundings.
    EXPECT_TRUE(close_by_norm(parameters[s], w, sizeof(T) == 8 ? 1e-13 : 3e-7));
    EXPECT_TRUE(close_by_norm(first[s], m, sizeof(T) == 8 ? 1e-13 : 3e-7));
    EXPECT_TRUE(close_by_norm(second[s], v, sizeof(T) == 8 ? 1e-12 : 3e-7));
  }
}

TEST(ReferenceAdam, FollowsTheScalarFormulaOverManySteps) {
  for (const bool scaled : {false, true}) {
    check<double>(scaled);
    check<float>(scaled);
  }
}

// Adam with averages of one parameter and not of the other, and Adam with the averages' own kernel behind it.
template <class T>
void check_averages(T gradient_scale) {
  constexpr std::size_t kCount = 33;
  const std::int64_t step = 3;
  const T rate = static_cast<T>(0.01);
  const double momentum = 0.9;
  // By seed: gradients, then parameters, both moments and averages.
  std::vector<std::vector<T>> together, apart;
  for (std::uint64_t seed = 0; seed < 10; ++seed) together.push_back(uniform_data<T>(kCount, seed, 0, 1));
  apart = together;
  const std::vector<std::vector<T>> before = together;
  const auto run_adam = [&](std::vector<std::vector<T>>& of, bool averaged) {
    const auto segment = [&](std::size_t i) {
      return AdamSegment{of[i + 2].data(), of[i].data(), of[i + 4].data(), of[i + 6].data(), kCount, 0.1, 1};
    };
    AdamSegment segments[] = {segment(0), segment(1)};
    if (averaged) segments[1].average = of[9].data();
    Adam adam;
    adam.type = sizeof(T) == 8 ? DType::f64 : DType::f32;
    adam.segments = segments;
    adam.segment_count = 2;
    adam.step = &step;
    adam.rate = &rate;
    adam.gradient_scale = &gradient_scale;
    if (averaged) adam.momentum = &momentum;
    run_entry(reference::table(), adam);
    return adam.type;
  };
  const DType type = run_adam(together, true);
  if (std::isnan(gradient_scale)) {
    for (std::size_t i = 0; i < 10; ++i) EXPECT_TRUE(test::same_bits(together[i], before[i])) << i;
    return;
  }
  run_adam(apart, false);
  const AverageSegment average{apart[3].data(), apart[9].data(), kCount};
  run_entry(reference::table(), WeightAverage{type, &average, 1, &momentum});
  for (std::size_t i = 0; i < 10; ++i) EXPECT_TRUE(test::same_bits(together[i], apart[i])) << i;
  EXPECT_FALSE(test::same_bits(together[9], before[9]));
}

TEST(ReferenceAdam, MovesAveragesAsTheirOwnKernelDoes) {
  for (const float scale : {0.5f, std::nanf("")}) {
    check_averages<double>(static_cast<double>(scale));
    check_averages<float>(scale);
  }
}

TEST(ReferenceAdam, FirstStepMovesByTheRateAgainstTheGradient) {
  std::vector<double> w{1, 1, 1}, m(3), v(3);
  const std::vector<double> g{1e-3, -50, 0};
  const std::int64_t step = 1;
  const double rate = 0.1;
  const AdamSegment segment{w.data(), g.data(), m.data(), v.data(), 3, 0, 1};
  Adam adam;
  adam.type = DType::f64;
  adam.segments = &segment;
  adam.segment_count = 1;
  adam.step = &step;
  adam.rate = &rate;
  adam.epsilon = 0;
  run_entry(reference::table(), adam);
  EXPECT_NEAR(w[0], 0.9, 1e-14);
  EXPECT_NEAR(w[1], 1.1, 1e-14);
  EXPECT_TRUE(std::isnan(w[2]));  // 0 / 0: what epsilon is there for
}

TEST(ReferenceAdam, DecayIsAppliedToTheWeightBeforeTheStep) {
  std::vector<double> w{2}, m{0}, v{0};
  const std::vector<double> g{0};
  const std::int64_t step = 3;
  const double rate = 0.1;
  const AdamSegment segment{w.data(), g.data(), m.data(), v.data(), 1, 0.5, 2};
  Adam adam;
  adam.type = DType::f64;
  adam.segments = &segment;
  adam.segment_count = 1;
  adam.step = &step;
  adam.rate = &rate;
  run_entry(reference::table(), adam);
  EXPECT_NEAR(w[0], 2 - 2 * 0.5 * 0.2, 1e-15);
}

}  // namespace
}  // namespace pila::kernels::optimizer_test
