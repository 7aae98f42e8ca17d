// What several ranks compute of a batch that they share is what one computes of the whole; the ranks are
// threads.
#include <gmock/gmock.h>

#include <cstdlib>

#include "engine/autograd/tape.h"
#include "engine/core/error.h"
#include "engine/ops/ops.h"
#include "engine/parallel/gradients.h"
#include "engine/parallel/launch.h"
#include "tests/support/compare.h"
#include "tests/support/random_data.h"
#include "tests/support/thread_ranks.h"

namespace pila {
namespace {

using testing::ElementsAre;

TEST(Ranks, SharesAreContiguousAndEven) {
  for (const std::int64_t total : {0, 1, 2, 7, 32, 1000}) {
    for (const int size : {1, 2, 3, 5, 64}) {
      std::int64_t end = 0;
      for (int rank = 0; rank < size; ++rank) {
        const Share share = share_of(total, rank, size);
        EXPECT_EQ(share.begin, end);
        EXPECT_GE(share.count(), total / size);
        EXPECT_LE(share.count(), total / size + 1);
        end = share.end;
      }
      EXPECT_EQ(end, total);
    }
  }
}

TEST(Ranks, ExchangeWhatTheySay) {
  test::on_ranks(3, [](Communicator& ranks) {
    const auto rank = static_cast<double>(ranks.rank());
    std::vector<double> sums = {1, rank};
    sum_over_ranks(ranks, sums);
    EXPECT_THAT(sums, ElementsAre(3, 3));
    const std::vector<int> mine(static_cast<std::size_t>(ranks.rank()), ranks.rank());
    EXPECT_THAT(ranks.gather_values(std::span(mine)), ElementsAre(1, 2, 2));
    EXPECT_EQ(ranks.first_ones(std::string(ranks.first() ? "yes" : "rather not")), "yes");
    EXPECT_TRUE(ranks.any(ranks.rank() == 2));
    EXPECT_FALSE(ranks.any(false));
  });
}

TEST(Ranks, OneWorksForAllAndFailsForAll) {
  int worked = 0;
  test::on_ranks(3, [&](Communicator& ranks) {
    on_first(ranks, [&] { ++worked; });
    EXPECT_EQ(worked, 1);
    EXPECT_THROW(on_first(ranks, [] { throw FileError("disk: full"); }), FileError);
    EXPECT_THROW(on_first(ranks, [] { throw UsageError("no"); }), UsageError);
    try {
      on_first(ranks, [] { throw std::runtime_error("odd"); });
      FAIL();
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), "odd");
    }
  });
}

TEST(Ranks, ShareTheCoresOfTheirMachine) {
  SingleProcess alone;
  const int all = threads_for(alone);
  EXPECT_GE(all, 1);
  test::on_ranks(2, [&](Communicator& ranks) { EXPECT_EQ(threads_for(ranks), std::max(1, all / 2)); });
  test::on_ranks(all + 3, [&](Communicator& ranks) { EXPECT_EQ(threads_for(ranks), 1); });
}

TEST(Ranks, AreCountedByTheLauncher) {
  const char* variables[] = {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMI_SIZE",
                             "SLURM_PROCID",         "SLURM_STEP_NUM_TASKS"};
  for (const char* variable : variables) unsetenv(variable);
  EXPECT_EQ(launched().size, 1);
  setenv("SLURM_PROCID", "0", 1);  // as in a job's script, beside which there is no step
  EXPECT_EQ(launched().size, 1);
  setenv("SLURM_PROCID", "5", 1);
  setenv("SLURM_STEP_NUM_TASKS", "8", 1);
  EXPECT_EQ(launched().rank, 5);
  EXPECT_EQ(launched().size, 8);
  for (const char* odd : {"", "3", "-1", "eight", "8x", "99999999999"}) {  // rank 5 of 3
    setenv("SLURM_STEP_NUM_TASKS", odd, 1);
    EXPECT_EQ(launched().size, 1) << odd;
  }
  setenv("OMPI_COMM_WORLD_RANK", "1", 1);
  setenv("OMPI_COMM_WORLD_SIZE", "2", 1);
  EXPECT_EQ(launched().rank, 1);
  for (const char* variable : variables) unsetenv(variable);
}

// A batch, and this rank's rows of it.
std::vector<float> rows_of(const std::vector<float>& values, const Share& share, std::int64_t total) {
  const auto row = static_cast<std::ptrdiff_t>(values.size()) / total;
  return {values.begin() + share.begin * row, values.begin() + share.end * row};
}

constexpr std::int64_t kSamples = 7;

TEST(Ranks, DropWhatOneDropsOfTheWholeBatch) {
  constexpr std::int64_t kFeatures = 13;  // shares begin inside of a block of draws
  const Context plain(Device::cpu(1));
  const auto training_of = [](const Context& ctx) {
    return ctx.for_training(5, Tensor::full(ctx, {{}, DType::i64}, 3));
  };
  const auto x = test::uniform_data<float>(kSamples * kFeatures, 1);
  for (const bool per_sample : {false, true}) {
    const auto expected =
        ops::dropout(training_of(plain), Tensor::from(plain, {kSamples, kFeatures}, x), 0.3, 2, per_sample)
            .to_vector<float>(plain);
    test::on_ranks(3, [&](Communicator& ranks) {
      const Context ctx = Context(Device::cpu(1)).with_ranks(ranks);
      const Share share = share_of(kSamples, ranks);
      const Tensor part = Tensor::from(ctx, {share.count(), kFeatures}, rows_of(x, share, kSamples));
      const Context training = training_of(ctx).with_share({share.begin, kSamples});
      EXPECT_EQ(ops::dropout(training, part, 0.3, 2, per_sample).to_vector<float>(ctx),
                rows_of(expected, share, kSamples));
    });
  }
}

// y, gradients of x, gamma and beta, then the statistics.
using Results = std::vector<std::vector<float>>;

// `x` and what y is multiplied with for a loss.
Results normalise(const Context& ctx, const Shape& shape, const std::vector<float>& x,
                  const std::vector<float>& factors, kernels::Activation activation) {
  const std::int64_t channels = shape[-1];
  Tape tape;
  const Context recorded = ctx.with_recorder(&tape);
  const Tensor images = Tensor::from(ctx, shape, x);
  const auto parameter = [&](std::uint64_t seed) {
    return Tensor::from(ctx, {channels},
                        test::uniform_data<float>(static_cast<std::size_t>(channels), seed, 0.5, 2));
  };
  const Tensor gamma = parameter(2), beta = parameter(3);
  for (const Tensor& tensor : {images, gamma, beta}) tape.watch(tensor);
  const auto result = ops::batch_norm_training(recorded, images, gamma, beta, 1e-3, activation);
  const Tensor loss =
      ops::sum(recorded, ops::multiply(recorded, result.y, Tensor::from(ctx, shape, factors)));
  const Gradients gradients = tape.backward(ctx, loss);
  Results results;
  for (const Tensor& tensor : {result.y, gradients.of(images), gradients.of(gamma), gradients.of(beta),
                               result.mean, result.variance}) {
    results.push_back(tensor.to_vector<float>(ctx));
  }
  return results;
}

TEST(Ranks, NormaliseByTheWholeBatchsStatistics) {
  constexpr std::int64_t kSide = 5, kChannels = 6;
  // Samples of several means, so that parts of the batch have statistics of their own.
  auto x = test::uniform_data<float>(kSamples * kSide * kSide * kChannels, 1);
  const auto factors = test::uniform_data<float>(x.size(), 4);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] += static_cast<float>(i * kSamples / x.size());
  for (const auto activation : {kernels::Activation::none, kernels::Activation::relu6}) {
    const Results whole =
        normalise(Context(Device::cpu(1)), {kSamples, kSide, kSide, kChannels}, x, factors, activation);
    for (const int size : {2, 3}) {
      test::on_ranks(size, [&](Communicator& ranks) {
        const Share share = share_of(kSamples, ranks);
        const Context ctx = Context(Device::cpu(1)).with_ranks(ranks).with_share({share.begin, kSamples});
        Results part = normalise(ctx, {share.count(), kSide, kSide, kChannels}, rows_of(x, share, kSamples),
                                 rows_of(factors, share, kSamples), activation);
        for (const std::size_t parameter : {2, 3}) ranks.sum(part[parameter]);
        // The statistics, and the sums over all rows, are rounded once more than those of one rank.
        for (std::size_t i = 0; i < whole.size(); ++i) {
          const auto expected = i < 2 ? rows_of(whole[i], share, kSamples) : whole[i];
          EXPECT_TRUE(test::close_by_norm(part[i], expected, 2e-6))
              << "result " << i << " of " << size << " ranks";
        }
      });
    }
  }
}

TEST(Ranks, SumTheGradientsThatThereAre) {
  test::on_ranks(3, [](Communicator& ranks) {
    const Context ctx = Context(Device::cpu(1)).with_ranks(ranks);
    std::vector<Tensor> parameters;
    for (int p = 0; p < 3; ++p) parameters.push_back(Tensor::zeros(ctx, {{2}, DType::f32}));
    Gradients gradients;
    const auto rank = static_cast<float>(ranks.rank());
    gradients.set(parameters[0], Tensor::from(ctx, {2}, std::vector<float>{1, rank}));
    if (ranks.rank() == 1) gradients.set(parameters[2], Tensor::from(ctx, {2}, std::vector<float>{5, 6}));
    sum_over_ranks(ctx, parameters, gradients);
    EXPECT_THAT(gradients.of(parameters[0]).to_vector<float>(ctx), ElementsAre(3, 3));
    EXPECT_FALSE(gradients.of(parameters[1]));
    EXPECT_THAT(gradients.of(parameters[2]).to_vector<float>(ctx), ElementsAre(5, 6));
  });
}

}  // namespace
}  // namespace pila
