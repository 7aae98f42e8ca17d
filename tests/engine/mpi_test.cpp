// The communicator that a launcher's processes get. All of them run all tests, side by side.
#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "engine/parallel/launch.h"

namespace pila {
namespace {

using testing::Each;

std::unique_ptr<Communicator> ranks;

TEST(Mpi, HasAllThatWereLaunched) {
  EXPECT_EQ(ranks->size(), launched().size);
  EXPECT_EQ(ranks->rank(), launched().rank);
  EXPECT_EQ(ranks->first(), launched().rank == 0);
}

TEST(Mpi, SumsInTheOrderOfRanks) {
  const int size = ranks->size();
  for (const std::size_t count : {0, 1, 2, 3, 1000, 100'003}) {
    const auto value_of = [](int rank, std::size_t i) {
      return static_cast<float>(std::sin(static_cast<double>(i) + 0.1 * rank) * std::pow(10, 4 * (rank % 2)));
    };
    std::vector<float> values(count), expected(count);
    for (std::size_t i = 0; i < count; ++i) {
      values[i] = value_of(ranks->rank(), i);
      double sum = 0;
      for (int rank = 0; rank < size; ++rank) sum += value_of(rank, i);
      expected[i] = static_cast<float>(sum);
    }
    ranks->sum(values);
    EXPECT_EQ(values, expected) << count;
  }
}

TEST(Mpi, SumsWhatIsNoNumber) {
  std::vector<float> values(5, ranks->rank() == ranks->size() - 1 ? NAN : 1.0f);
  ranks->sum(values);
  for (const float value : values) EXPECT_TRUE(std::isnan(value));
}

TEST(Mpi, GathersAndBroadcasts) {
  const int rank = ranks->rank(), size = ranks->size();
  const std::vector<int> mine(static_cast<std::size_t>(2 * rank), rank);
  std::vector<int> expected;
  for (int r = 0; r < size; ++r) expected.insert(expected.end(), static_cast<std::size_t>(2 * r), r);
  EXPECT_EQ(ranks->gather_values(std::span(mine)), expected);

  std::vector<float> values(100'000, static_cast<float>(rank + 7));
  ranks->broadcast(std::as_writable_bytes(std::span(values)));
  EXPECT_THAT(values, Each(7.0f));
  EXPECT_EQ(ranks->first_ones(std::string(static_cast<std::size_t>(rank + 3), 'x')), "xxx");
  EXPECT_TRUE(ranks->any(rank == size - 1));
  EXPECT_FALSE(ranks->any(false));
}

TEST(Mpi, MeetsAtTheEnd) {
  const auto words = ranks->meet(std::to_string(ranks->rank()) + " ends", std::chrono::seconds(60));
  EXPECT_EQ(words, "0 ends");
}

}  // namespace
}  // namespace pila

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  pila::ranks = pila::join(pila::launched());
  const int result = RUN_ALL_TESTS();
  pila::ranks.reset();
  return result;
}
