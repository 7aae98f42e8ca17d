#include "layers/planned_model.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "engine/core/error.h"
#include "tests/support/compare.h"
#include "tests/support/random_data.h"

namespace pila::planned_model_test {
namespace {

constexpr std::int64_t kSize = 32;

class PlannedModelTest : public testing::Test {
 protected:
  static ModelSpec spec() {
    ModelSpec spec;
    spec.width = 0.1;
    spec.input_height = spec.input_width = kSize;
    spec.head = imagenet_head(5);
    return spec;
  }

  // [count] images from number `first` of the same row of them on.
  Tensor images(std::int64_t first, std::int64_t count) const {
    constexpr std::int64_t kNumbers = kSize * kSize * 3;
    const auto all = test::uniform_data<float>(static_cast<std::size_t>((first + count) * kNumbers), 7);
    return Tensor::from(ctx_, {count, kSize, kSize, 3},
                        std::vector<float>(all.begin() + first * kNumbers, all.end()));
  }

  const Context ctx_{Device::cpu(2)};
  const Preprocessing preprocessing_{.height = kSize, .width = kSize};
};

TEST_F(PlannedModelTest, ComputesLargeBatchesInPartsAndOthersWhole) {
  const Model model(ctx_, spec(), 1);
  PlannedModel planned(ctx_, model, preprocessing_, GraphInput::images);
  EXPECT_EQ(planned.session(16).parts(), 2u) << "four images a thread";
  EXPECT_EQ(planned.session(8).parts(), 1u);
  EXPECT_EQ(planned.session(12).parts(), 1u);
  EXPECT_EQ(&planned.session(16).plan(), &planned.session(8).plan());
}

TEST_F(PlannedModelTest, GivesTheSameInPartsInOrder) {
  const Model model(ctx_, spec(), 1);
  PlannedModel planned(ctx_, model, preprocessing_, GraphInput::images);
  const auto all = planned.run(images(0, 16)), first = planned.run(images(0, 8)),
             rest = planned.run(images(8, 8));
  for (const auto member : {&PlannedModel::Outputs::features, &PlannedModel::Outputs::logits}) {
    std::vector<float> expected = first.*member;
    expected.insert(expected.end(), (rest.*member).begin(), (rest.*member).end());
    EXPECT_TRUE(test::same_bits(all.*member, expected));
  }
  const std::vector<float> values = images(0, 16).to_vector<float>(ctx_);
  planned.submit(values, 16);
  EXPECT_TRUE(test::same_bits(planned.collect().first.logits, all.logits)) << "in two halves";
}

TEST_F(PlannedModelTest, ReadsImagesOfTheCallersWhereTheyAre) {
  const Model model(ctx_, spec(), 1);
  PlannedModel planned(ctx_, model, preprocessing_, GraphInput::images);
  const Tensor mine = images(0, 16);
  const Session session = planned.session_over(16, mine.data());
  EXPECT_EQ(session.input().data(), mine.data());
  for (const std::int64_t first : {0, 3}) {
    mine.assign(ctx_, images(first, 16));
    session.run();
    EXPECT_TRUE(test::same_bits(session.output(kLogitsOutput).to_vector<float>(ctx_),
                                planned.run(images(first, 16)).logits));
  }
}

TEST_F(PlannedModelTest, KeepsToTheBatchItWasLeftWith) {
  auto model = std::make_unique<Model>(ctx_, spec(), 1);
  PlannedModel planned(ctx_, *model, preprocessing_, GraphInput::images);
  planned.keep_only(16, std::move(model));
  EXPECT_EQ(planned.run(images(0, 16)).logits.size(), 80u);
  EXPECT_THAT([&] { planned.run(images(0, 8)); },
              testing::ThrowsMessage<UsageError>(testing::HasSubstr("expected 16 images at a time, got 8")));
}

}  // namespace
}  // namespace pila::planned_model_test
