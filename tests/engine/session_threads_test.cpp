// Plans at any number of threads, and sessions of several threads at once.
#include <gtest/gtest.h>

#include <thread>

#include "tests/engine/plan_net.h"
#include "tests/support/compare.h"

namespace pila {
namespace {

TEST(SessionThreads, PlansHaveTheSameBitsAtAnyNumberOfThreads) {
  std::vector<float> expected;
  for (const int threads : {1, 2, 5}) {
    const Context ctx{Device::cpu(threads)};
    test::PlanNet net(ctx);
    const auto result = test::run_once(ctx, Session(Plan::build(ctx, net.trace())), net.pixels());
    if (expected.empty()) expected = result;
    EXPECT_TRUE(test::same_bits(result, expected)) << threads << " threads";
  }
}

TEST(SessionThreads, RunAtTheSameTime) {
  for (const int threads : {1, 2}) {
    const Context ctx{Device::cpu(threads)};
    test::PlanNet net(ctx);
    const auto plan = Plan::build(ctx, net.trace());
    constexpr int kSessions = 3;
    std::vector<Tensor> pixels;
    std::vector<std::vector<float>> expected, results(kSessions);
    for (int i = 0; i < kSessions; ++i) {
      pixels.push_back(net.pixels(static_cast<std::uint64_t>(i)));
      expected.push_back(test::run_once(ctx, Session(plan), pixels.back()));
    }
    std::vector<std::thread> crew;
    for (std::size_t i = 0; i < kSessions; ++i) {
      crew.emplace_back([&, i] {
        const Session session(plan);
        for (int round = 0; round < 20; ++round) results[i] = test::run_once(ctx, session, pixels[i]);
      });
    }
    for (std::thread& thread : crew) thread.join();
    for (std::size_t i = 0; i < kSessions; ++i) EXPECT_TRUE(test::same_bits(results[i], expected[i])) << i;
  }
}

}  // namespace
}  // namespace pila
