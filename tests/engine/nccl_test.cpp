// Sums of tensors through NCCL, which tests/support/fake_nccl.cpp is here; the ranks are threads.
#include <gmock/gmock.h>

#include <cmath>

#include "engine/autograd/tape.h"
#include "engine/core/error.h"
#include "engine/ops/ops.h"
#include "engine/parallel/gradients.h"
#include "engine/parallel/nccl_sum.h"
#include "tests/support/random_data.h"
#include "tests/support/thread_ranks.h"

namespace pila {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const DeviceError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

// Calls body on each of `size` ranks, whose tensors are summed through NCCL.
void on_nccl_ranks(int size, const std::function<void(Communicator&, const Context&)>& body) {
  const auto nccl = std::make_shared<const Nccl>(PILA_FAKE_NCCL);
  test::on_ranks(size, [&](Communicator& ranks) {
    const auto device = Device::cpu(1);
    ranks.sum_tensors_by(std::make_unique<NcclSum>(nccl, ranks, device));
    body(ranks, Context(device).with_ranks(ranks));
  });
}

// Large ones on the first two ranks, half of which take each other away, so that the order of additions and
// their precision show.
std::vector<float> values_of(int rank, std::int64_t count) {
  const auto numbers = [&](int seed) {
    return test::uniform_data<float>(static_cast<std::size_t>(count), static_cast<std::uint64_t>(seed));
  };
  std::vector<float> values = numbers(rank);
  const std::vector<float> first = numbers(0);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (rank == 1 && i % 2 == 0) values[i] = -first[i];
    if (rank < 2) values[i] *= 1e12f;
  }
  return values;
}

TEST(Nccl, SumsInTheOrderOfRanks) {
  for (const int size : {1, 2, 3}) {
    for (const std::int64_t count : {0, 1, 2, 3, 4, 1000, 100'003}) {
      std::vector<double> sums(static_cast<std::size_t>(count));
      for (int rank = 0; rank < size; ++rank) {
        const std::vector<float> more = values_of(rank, count);
        for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += more[i];
      }
      const std::vector<float> expected(sums.begin(), sums.end());
      on_nccl_ranks(size, [&](Communicator& ranks, const Context& ctx) {
        const Tensor values = Tensor::from(ctx, {count}, values_of(ranks.rank(), count));
        const auto version = values.version();
        ranks.sum(ctx, values);
        EXPECT_EQ(values.to_vector<float>(ctx), expected) << count << " values on " << size;
        EXPECT_GT(values.version(), version);
      });
    }
  }
}

TEST(Nccl, SumsWhatIsNoNumber) {
  on_nccl_ranks(3, [](Communicator& ranks, const Context& ctx) {
    const Tensor values = Tensor::full(ctx, {{5}, DType::f32}, ranks.rank() == 2 ? NAN : 1.0);
    ranks.sum(ctx, values);
    for (const float value : values.to_vector<float>(ctx)) EXPECT_TRUE(std::isnan(value));
  });
}

// What ranks without NCCL get, from gradients of odd sizes, one of which is on one rank alone.
TEST(Nccl, SumsGradientsToTheSameBits) {
  const auto summed = [](const Context& ctx) {
    const int rank = ctx.ranks().rank();
    std::vector<Tensor> parameters;
    for (const std::int64_t size : {3, 17, 1, 1000}) {
      parameters.push_back(Tensor::zeros(ctx, {{size}, DType::f32}));
    }
    Gradients gradients;
    for (std::size_t p = 0; p < parameters.size(); ++p) {
      if (p == 1 && rank != 1) continue;
      const Shape& shape = parameters[p].shape();
      gradients.set(parameters[p], Tensor::from(ctx, shape, values_of(rank, shape.elements())));
    }
    sum_over_ranks(ctx, parameters, gradients);
    std::vector<std::vector<float>> results;
    for (const Tensor& parameter : parameters) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(gradients.of(parameter).data()) % 64, 0u);
      results.push_back(gradients.of(parameter).to_vector<float>(ctx));
    }
    return results;
  };
  for (const int size : {2, 3}) {
    std::vector<std::vector<float>> expected;
    test::on_ranks(size, [&](Communicator& ranks) {
      const auto results = summed(Context(Device::cpu(1)).with_ranks(ranks));
      if (ranks.first()) expected = results;
    });
    on_nccl_ranks(size, [&](Communicator&, const Context& ctx) { EXPECT_EQ(summed(ctx), expected); });
  }
}

TEST(Nccl, IsAskedForWhereItIsLackingOrOld) {
  EXPECT_THAT(message_of([] { Nccl("libno_such_nccl.so.2"); }),
              AllOf(HasSubstr("[nccl] libno_such_nccl.so.2"), HasSubstr("install libnccl2"),
                    HasSubstr("start one process")));
  EXPECT_THAT(message_of([] { Nccl("libm.so.6"); }),  // a library, but of nothing of NCCL's
              AllOf(HasSubstr("ncclGetUniqueId"), HasSubstr("NCCL 2.7 or newer")));
}

class SeventhOfOne : public SingleProcess {
 public:
  int rank() const override { return 6; }
};

TEST(Nccl, IsQuotedWhereItRefuses) {
  const auto nccl = std::make_shared<const Nccl>(PILA_FAKE_NCCL);
  SeventhOfOne odd;
  EXPECT_THAT(message_of([&] { NcclSum(nccl, odd, Device::cpu(1)); }),
              HasSubstr("[nccl] ncclCommInitRank: invalid argument"));
  on_nccl_ranks(2, [](Communicator& ranks, const Context& ctx) {
    const Tensor unlike = Tensor::zeros(ctx, {{4 + 2 * ranks.rank()}, DType::f32});
    EXPECT_THAT(message_of([&] { ranks.sum(ctx, unlike); }), HasSubstr("invalid usage"));
  });
}

}  // namespace
}  // namespace pila
