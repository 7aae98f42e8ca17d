// The same bits from run to run and at any number of threads; the same numbers on fast and reference kernels.
#include <gtest/gtest.h>

#include "tests/engine/small_net.h"
#include "tests/support/compare.h"

namespace pila {
namespace {

void expect_same_bits(const test::Training& actual, const test::Training& expected) {
  EXPECT_TRUE(test::same_bits(actual.losses, expected.losses));
  ASSERT_EQ(actual.state.size(), expected.state.size());
  for (std::size_t i = 0; i < expected.state.size(); ++i) {
    EXPECT_TRUE(test::same_bits(actual.state[i], expected.state[i])) << "tensor " << i;
  }
}

// 35 pixels wide, so that rows, tiles and chunks do not divide evenly.
test::Training train(int threads) { return test::train_small_net(Context(Device::cpu(threads)), 4, 7, 35); }

TEST(Determinism, TrainingHasTheSameBitsAtAnyNumberOfThreads) {
  const test::Training one = train(1);
  for (const int threads : {2, 5}) {
    SCOPED_TRACE(testing::Message() << threads << " threads");
    expect_same_bits(train(threads), one);
  }
}

TEST(Determinism, TrainingHasTheSameBitsInEveryRun) {
  const test::Training first = train(2);
  for (int run = 0; run < 3; ++run) expect_same_bits(train(2), first);
}

TEST(Determinism, TrainingLearns) {
  const std::vector<float> losses = test::train_small_net(Context(Device::cpu(1)), 12, 7, 16).losses;
  EXPECT_LT(losses.back(), 0.8f * losses.front());
}

// float32 against float32 with sums in float64: 1e-5 forward and 1e-4 backward, relative to the tensor's
// norm, leave room for sums of some hundred terms.
TEST(FastKernels, AgreeWithTheReference) {
  const Context fast{Device::cpu(2)}, slow{Device::reference()};
  for (const bool training : {false, true}) {
    SCOPED_TRACE(training ? "training" : "inference");
    std::vector<std::vector<float>> logits, gradients[2];
    for (const Context& plain : {fast, slow}) {
      const Context ctx =
          training ? plain.for_training(3, Tensor::full(plain, {{}, DType::i64}, 5)) : plain.inference();
      const test::SmallNet net(plain);
      const test::Batch batch = test::small_batch(plain, 5, 21);
      logits.push_back(net.logits(ctx, batch.images).to_vector<float>(plain));
      const Gradients found = net.gradients(ctx, batch.images, batch.labels);
      for (const Tensor& parameter : net.parameters()) {
        gradients[logits.size() - 1].push_back(found.of(parameter).to_vector<float>(plain));
      }
    }
    EXPECT_TRUE(test::close_by_norm(logits[0], logits[1], 1e-5));
    for (std::size_t i = 0; i < gradients[0].size(); ++i) {
      EXPECT_TRUE(test::close_by_norm(gradients[0][i], gradients[1][i], 1e-4)) << "parameter " << i;
    }
  }
}

}  // namespace
}  // namespace pila
