#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/kernels/cpu/against_reference.h"

namespace pila::test {
namespace {

using namespace kernels;

// Parameters of every length with their gradients, moments and averages, and the numbers on the device.
struct Update {
  explicit Update(const std::vector<std::int64_t>& counts) {
    for (auto* buffers : {&parameters, &gradients, &first_moments, &second_moments, &averages}) {
      buffers->reserve(counts.size());
    }
    for (std::size_t i = 0; i < counts.size(); ++i) {
      const auto count = static_cast<std::size_t>(counts[i]);
      parameters.emplace_back(uniform_data<float>(count, 4 * i));
      gradients.emplace_back(uniform_data<float>(count, 4 * i + 1));
      first_moments.emplace_back(uniform_data<float>(count, 4 * i + 2, -0.1, 0.1));
      second_moments.emplace_back(uniform_data<float>(count, 4 * i + 3, 0, 0.1));
      averages.emplace_back(uniform_data<float>(count, 1000 + i));
      segments.push_back({parameters.back().data(), gradients.back().data(), first_moments.back().data(),
                          second_moments.back().data(), counts[i], i % 2 == 0 ? 0.01 : 0.0,
                          i % 3 == 0 ? 1.0 : 0.3});
    }
    args.segments = segments.data();
    args.segment_count = static_cast<std::int64_t>(segments.size());
    args.step = &step;
    args.rate = &rate;
  }
  Update(const Update&) = delete;
  Update& operator=(const Update&) = delete;

  // Of some parameters the averages are moved, too.
  static bool averaged(std::size_t i) { return i % 3 != 1; }
  void move_averages() {
    for (std::size_t i = 0; i < segments.size(); ++i) {
      if (averaged(i)) segments[i].average = averages[i].data();
    }
    args.momentum = &momentum;
  }

  std::int64_t step = 1;
  float rate = 1e-3f;
  double momentum = 0.9;
  std::vector<GuardedBuffer<float>> parameters, gradients, first_moments, second_moments, averages;
  std::vector<AdamSegment> segments;
  Adam args;
};

const std::vector<std::int64_t> kCounts(kLengths.begin(), kLengths.end());

TEST(CpuAdam, FollowsTheReference) {
  const float gradient_scale = 0.5f;
  Update expected(kCounts);
  expected.args.gradient_scale = &gradient_scale;
  std::array<Update, 3> updates{Update(kCounts), Update(kCounts), Update(kCounts)};
  for (std::int64_t step = 1; step <= 5; ++step) {
    expected.step = step;
    run_entry(reference::table(), expected.args);
    for (std::size_t i = 0; i < updates.size(); ++i) {
      updates[i].step = step;
      updates[i].args.gradient_scale = &gradient_scale;
      run_entry(cpu::table(), updates[i].args, streams()[i], "adam_f32");
    }
  }
  for (std::size_t s = 0; s < kCounts.size(); ++s) {
    SCOPED_TRACE(testing::Message() << kCounts[s] << " elements");
    // Five roundings of numbers up to 1, and of each step's terms.
    EXPECT_TRUE(close_each(updates[0].parameters[s], expected.parameters[s], 6e-7));
    EXPECT_TRUE(close_by_norm(updates[0].first_moments[s], expected.first_moments[s], 1e-6));
    EXPECT_TRUE(close_by_norm(updates[0].second_moments[s], expected.second_moments[s], 1e-6));
    for (const Update& update : updates) {
      EXPECT_TRUE(update.parameters[s].check());
      EXPECT_TRUE(update.first_moments[s].check());
      EXPECT_TRUE(update.second_moments[s].check());
      EXPECT_TRUE(same_bits(update.parameters[s], updates[0].parameters[s]));
      EXPECT_TRUE(same_bits(update.first_moments[s], updates[0].first_moments[s]));
      EXPECT_TRUE(same_bits(update.second_moments[s], updates[0].second_moments[s]));
    }
  }
}

TEST(CpuAdam, MovesAveragesAsTheirOwnKernelDoes) {
  Update apart(kCounts), exact(kCounts);
  run_entry(cpu::table(), apart.args, streams()[0], "adam_f32");
  std::vector<AverageSegment> segments;
  for (std::size_t s = 0; s < kCounts.size(); ++s) {
    if (Update::averaged(s)) {
      segments.push_back({apart.parameters[s].data(), apart.averages[s].data(), kCounts[s]});
    }
  }
  const WeightAverage average{DType::f32, segments.data(), static_cast<std::int64_t>(segments.size()),
                              &apart.momentum};
  run_entry(cpu::table(), average, streams()[0], "weight_average_f32");
  exact.move_averages();
  run_entry(reference::table(), exact.args);
  for (auto& stream : streams()) {
    Update together(kCounts);
    together.move_averages();
    run_entry(cpu::table(), together.args, stream, "adam_f32");
    for (std::size_t s = 0; s < kCounts.size(); ++s) {
      EXPECT_TRUE(together.averages[s].check());
      EXPECT_TRUE(same_bits(together.averages[s], apart.averages[s])) << s;
      EXPECT_TRUE(same_bits(together.parameters[s], apart.parameters[s])) << s;
      EXPECT_TRUE(same_bits(together.second_moments[s], apart.second_moments[s])) << s;
      EXPECT_TRUE(close_each(together.averages[s], exact.averages[s], 3e-7)) << s;
    }
  }
}

// With a gradient of 0 the whole change is the decay, rounded once: half a unit in the last place.
TEST(CpuAdam, SmallDecayIsKept) {
  Update update({1});
  update.parameters[0][0] = 1;
  update.gradients[0][0] = update.first_moments[0][0] = update.second_moments[0][0] = 0;
  update.segments[0].weight_decay = 1e-3;
  run_entry(cpu::table(), update.args, streams()[0], "adam_f32");
  EXPECT_NEAR(1 - static_cast<double>(update.parameters[0][0]), 1e-6, 3e-8);
}

TEST(CpuAdam, WithoutParameters) {
  Update update({});
  run_entry(cpu::table(), update.args, streams()[1], "adam_f32");
}

TEST(CpuAdam, NanStaysInItsElement) {
  Update update({40}), expected({40});
  for (Update* each : {&update, &expected}) {
    each->gradients[0][3] = std::numeric_limits<float>::quiet_NaN();
    each->gradients[0][39] = std::numeric_limits<float>::infinity();
  }
  run_entry(cpu::table(), update.args, streams()[0], "adam_f32");
  run_entry(reference::table(), expected.args);
  EXPECT_TRUE(same_specials(update.parameters[0].values(), expected.parameters[0].values()));
  EXPECT_TRUE(same_specials(update.second_moments[0].values(), expected.second_moments[0].values()));
}

TEST(CpuAdam, LeavesEverythingWhenTheScaleIsNan) {
  const float gradient_scale = std::numeric_limits<float>::quiet_NaN();
  for (const auto* table : {&cpu::table(), &reference::table()}) {
    Update update({40}), before({40});
    update.args.gradient_scale = &gradient_scale;
    update.move_averages();
    run_entry(*table, update.args, streams()[0]);
    EXPECT_TRUE(same_bits(update.averages[0], before.averages[0]));
    EXPECT_TRUE(same_bits(update.parameters[0], before.parameters[0]));
    EXPECT_TRUE(same_bits(update.first_moments[0], before.first_moments[0]));
    EXPECT_TRUE(same_bits(update.second_moments[0], before.second_moments[0]));
  }
}

// Gradients of every length, and where their norm goes.
struct Norm {
  explicit Norm(const std::vector<std::int64_t>& counts, double limit = 1) {
    gradients.reserve(counts.size());
    for (std::size_t i = 0; i < counts.size(); ++i) {
      gradients.emplace_back(uniform_data<float>(static_cast<std::size_t>(counts[i]), i));
      segments.push_back({gradients.back().data(), counts[i]});
    }
    args.segments = segments.data();
    args.segment_count = static_cast<std::int64_t>(segments.size());
    args.limit = limit;
    args.norm = &norm;
    args.scale = &scale;
  }
  Norm(const Norm&) = delete;
  Norm& operator=(const Norm&) = delete;

  float norm = -1, scale = -1;
  std::vector<GuardedBuffer<float>> gradients;
  std::vector<GradientSegment> segments;
  GradientNorm args;
};

TEST(CpuGradientNorm, FollowsTheReference) {
  Norm expected(kCounts), actual(kCounts);
  run_entry(reference::table(), expected.args);
  float first = 0;
  for (auto& stream : streams()) {
    run_entry(cpu::table(), actual.args, stream, "gradient_norm_f32");
    // Both sum in float64: the result's own rounding is left, and one more in the scale.
    EXPECT_NEAR(actual.norm, expected.norm, 1e-7 * expected.norm);
    EXPECT_NEAR(actual.scale, 1 / expected.norm, 2e-7 / expected.norm);
    if (first == 0) first = actual.norm;
    EXPECT_EQ(actual.norm, first) << stream.pool.threads() << " threads";
  }
}

TEST(CpuGradientNorm, ScalesOnlyWhatIsLongerThanTheLimit) {
  for (const auto* table : {&cpu::table(), &reference::table()}) {
    Norm norm({2}, 5);
    const auto check = [&](float x, float y, float expected_norm, float expected_scale) {
      norm.gradients[0][0] = x;
      norm.gradients[0][1] = y;
      run_entry(*table, norm.args, streams()[0]);
      EXPECT_EQ(norm.norm, expected_norm);
      EXPECT_EQ(norm.scale, expected_scale);
    };
    check(3, 4, 5, 1);
    check(0, 0, 0, 1);
    check(6, -8, 10, 0.5f);
    check(0x3p80f, 0x4p80f, 0x5p80f, 0x1p-80f);  // squares that float32 has no room for
    norm.args.limit = std::numeric_limits<double>::infinity();
    check(6, -8, 10, 1);
  }
}

TEST(CpuGradientNorm, SaysWhatIsNotFinite) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const auto* table : {&cpu::table(), &reference::table()}) {
    for (const double limit : {1.0, std::numeric_limits<double>::infinity()}) {
      Norm norm({40, 3}, limit);
      norm.gradients[0][17] = infinity;
      run_entry(*table, norm.args, streams()[0]);
      EXPECT_EQ(norm.norm, infinity);
      EXPECT_TRUE(std::isnan(norm.scale));
      norm.gradients[1][2] = nan;
      run_entry(*table, norm.args, streams()[0]);
      EXPECT_TRUE(std::isnan(norm.norm));
      EXPECT_TRUE(std::isnan(norm.scale));
    }
  }
}

TEST(CpuGradientNorm, TakesTheLossScaleOut) {
  const float loss_scale = 1024;
  for (const auto* table : {&cpu::table(), &reference::table()}) {
    Norm norm({2}, 5);
    norm.args.loss_scale = &loss_scale;
    norm.gradients[0][0] = 6 * loss_scale;
    norm.gradients[0][1] = -8 * loss_scale;
    run_entry(*table, norm.args, streams()[0]);
    EXPECT_EQ(norm.norm, 10);
    EXPECT_EQ(norm.scale, 0.5f / loss_scale);
    norm.args.limit = 10;
    run_entry(*table, norm.args, streams()[0]);
    EXPECT_EQ(norm.scale, 1 / loss_scale) << "what is no longer than the limit is only divided";
  }
}

TEST(CpuGradientNorm, OfNothingIsZero) {
  for (const auto* table : {&cpu::table(), &reference::table()}) {
    Norm norm({});
    run_entry(*table, norm.args, streams()[1]);
    EXPECT_EQ(norm.norm, 0);
    EXPECT_EQ(norm.scale, 1);
  }
}

// What a kernel makes of averages of every length.
std::vector<std::vector<float>> averaged(const KernelTable& table, Stream& stream, double momentum) {
  std::vector<GuardedBuffer<float>> values, averages;
  values.reserve(kCounts.size());
  averages.reserve(kCounts.size());
  std::vector<AverageSegment> segments;
  for (std::size_t i = 0; i < kCounts.size(); ++i) {
    const auto count = static_cast<std::size_t>(kCounts[i]);
    values.emplace_back(uniform_data<float>(count, 2 * i));
    averages.emplace_back(uniform_data<float>(count, 2 * i + 1));
    segments.push_back({values.back().data(), averages.back().data(), kCounts[i]});
  }
  WeightAverage args;
  args.segments = segments.data();
  args.segment_count = static_cast<std::int64_t>(segments.size());
  args.momentum = &momentum;
  run_entry(table, args, stream);
  std::vector<std::vector<float>> result;
  for (const auto& average : averages) {
    EXPECT_TRUE(average.check());
    result.push_back(average.values());
  }
  return result;
}

TEST(CpuWeightAverage, FollowsTheReference) {
  for (const double momentum : {0.0, 0.9, 0.9999}) {
    const auto expected = averaged(reference::table(), streams()[0], momentum);
    const auto first = averaged(cpu::table(), streams()[0], momentum);
    for (auto& stream : streams()) {
      const auto actual = averaged(cpu::table(), stream, momentum);
      for (std::size_t s = 0; s < expected.size(); ++s) {
        // Momentum, its rest and the result are rounded to float32.
        EXPECT_TRUE(close_each(actual[s], expected[s], 2e-7));
        EXPECT_TRUE(same_bits(actual[s], first[s]));
      }
    }
  }
}

TEST(CpuWeightAverage, WithoutMomentumTakesTheValue) {
  const auto average = averaged(cpu::table(), streams()[1], 0);
  EXPECT_TRUE(same_bits(average.back(), uniform_data<float>(100003, 2 * (kCounts.size() - 1))));
}

}  // namespace
}  // namespace pila::test
