// What MobileNetV2's blocks are made of in training: by whose statistics, and for whose gradients.
#include <gmock/gmock.h>

#include <map>
#include <string>
#include <utility>

#include "engine/autograd/tape.h"
#include "engine/ops/ops.h"
#include "layers/batch_statistics.h"
#include "layers/fine_tuning.h"
#include "layers/model.h"
#include "tests/support/compare.h"
#include "tests/support/random_data.h"

namespace pila::inverted_residual_test {
namespace {

using testing::Contains;
using testing::Key;
using testing::Not;
using testing::Pair;

constexpr std::int64_t kSize = 64, kBlocks = 17;

ModelSpec small_spec() {
  ModelSpec spec;
  spec.width = 0.35;
  spec.input_height = spec.input_width = kSize;
  spec.head = imagenet_head(5);
  return spec;
}

// Counts operations by name, and asks for no gradients itself.
class Counter : public Recorder {
 public:
  void record(const std::shared_ptr<const Op>& op, std::span<const Tensor>,
              std::span<const Tensor>) override {
    ++counts[std::string(op->name())];
  }
  bool follows(const Tensor&) const override { return false; }
  std::map<std::string, int> counts;
};

// A model whose moving statistics are other than they begin, as after a training.
class Blocks : public testing::Test {
 protected:
  Blocks() {
    for (const Layer* layer : model_.layers()) {
      if (layer->type() != "BatchNormalization") continue;
      const Tensor &mean = layer->parameters()[2].value, &variance = layer->parameters()[3].value;
      const auto channels = static_cast<std::size_t>(mean.shape()[0]);
      mean.assign<float>(ctx_, test::uniform_data<float>(channels, 3, -0.2f, 0.2f));
      variance.assign<float>(ctx_, test::uniform_data<float>(channels, 4, 0.5f, 2.0f));
    }
  }

  // The operations of a step forward, for the gradients of what is trainable.
  std::map<std::string, int> operations() const {
    Counter counter;
    forward(&counter);
    return counter.counts;
  }

  Tensor forward(Recorder* behind) const {
    Tape tape(behind);
    for (const Parameter* parameter : model_.trainable_parameters()) tape.watch(parameter->value);
    const Tensor step = Tensor::from(ctx_, {}, std::vector<std::int64_t>{1});
    return model_.logits(ctx_.for_training(7, step).with_recorder(&tape), images_);
  }

  const Context ctx_{Device::cpu(2)};
  Model model_{ctx_, small_spec(), 1};
  const Tensor images_ =
      Tensor::from(ctx_, {2, kSize, kSize, 3}, test::uniform_data<float>(2 * kSize * kSize * 3, 2));
};

TEST_F(Blocks, OfTheBatchsStatisticsAreNormalisedByTheirReaders) {
  const auto counts = operations();
  EXPECT_THAT(counts, Contains(Pair("normalised_conv2d", kBlocks)));
  EXPECT_THAT(counts,
              Contains(Pair("normalised_depthwise_conv2d", kBlocks - 1)));  // the first does not expand
  EXPECT_THAT(counts, Contains(Pair("batch_norm_training", kBlocks + 2)));  // behind projections; stem, end
}

TEST_F(Blocks, OfGivenStatisticsAreConvolutionsAlone) {
  set_batch_statistics(model_, false);
  const auto counts = operations();
  EXPECT_THAT(counts, Contains(Pair("fold_batch_norm", 3 * kBlocks - 1 + 2)));
  EXPECT_THAT(counts, Contains(Pair("depthwise_conv2d", kBlocks)));
  for (const char* pass : {"batch_norm_inference", "activation", "add"}) {
    EXPECT_THAT(counts, Not(Contains(Key(pass))));
  }
}

TEST_F(Blocks, ThatNobodyAsksGradientsOfAreOneOperation) {
  train_last(model_, 0);
  EXPECT_THAT(operations(), Contains(Pair("inverted_residual", kBlocks)));
  train_last(model_, 4);  // the last block's projection and its normalisation among them
  const auto counts = operations();
  EXPECT_THAT(counts, Contains(Pair("inverted_residual", kBlocks - 1)));
  EXPECT_THAT(counts, Contains(Pair("depthwise_conv2d", 1)));
}

// Sums are cut differently, and folded weights are rounded once more. Fifty layers of random weights,
// normalised by the statistics of two pictures, make much of a rounding.
TEST_F(Blocks, GiveTheSameNumbersInEveryWay) {
  set_batch_statistics(model_, true);
  const auto by_readers = forward(nullptr).to_vector<float>(ctx_);
  Tensor batch = images_;
  recalibrate_batch_norm(ctx_, model_, [&] { return std::exchange(batch, Tensor()); });
  set_batch_statistics(model_, false);
  const auto convolutions = forward(nullptr).to_vector<float>(ctx_);
  train_last(model_, 0);
  const auto as_one = forward(nullptr).to_vector<float>(ctx_);
  EXPECT_TRUE(test::close_by_norm(convolutions, by_readers, 5e-4));
  EXPECT_TRUE(test::close_by_norm(as_one, convolutions, 5e-4));
}

}  // namespace
}  // namespace pila::inverted_residual_test
