#include <gtest/gtest.h>

#include <limits>

#include "tests/kernels/cpu/against_reference.h"

namespace pila::test {
namespace {

using namespace kernels;

// Parameters of every length with their gradients and moments, and the numbers on the device.
struct Update {
  explicit Update(const std::vector<std::int64_t>& counts) {
    parameters.reserve(counts.size());
    for (std::size_t i = 0; i < counts.size(); ++i) {
      const auto count = static_cast<std::size_t>(counts[i]);
      parameters.emplace_back(uniform_data<float>(count, 4 * i));
      gradients.emplace_back(uniform_data<float>(count, 4 * i + 1));
      first_moments.emplace_back(uniform_data<float>(count, 4 * i + 2, -0.1, 0.1));
      second_moments.emplace_back(uniform_data<float>(count, 4 * i + 3, 0, 0.1));
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

  std::int64_t step = 1;
  float rate = 1e-3f;
  std::vector<GuardedBuffer<float>> parameters, gradients, first_moments, second_moments;
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

}  // namespace
}  // namespace pila::test
