#include "kernels/cpu/thread_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <latch>
#include <thread>
#include <vector>

namespace pila::kernels::cpu {
namespace {

class ThreadPoolTest : public testing::TestWithParam<int> {};

TEST_P(ThreadPoolTest, CallsEachIndexOnce) {
  ThreadPool pool(GetParam());
  ASSERT_EQ(pool.threads(), GetParam());
  for (const std::int64_t count : {0, 1, 2, 3, 7, 64, 1000}) {
    std::vector<int> calls(static_cast<std::size_t>(count));  // unsynchronised: run() orders the accesses
    std::atomic<int> strangers{0};
    pool.run(count, [&](std::int64_t index, int worker) {
      ++calls[static_cast<std::size_t>(index)];
      if (worker < 0 || worker >= pool.threads()) ++strangers;
    });
    EXPECT_EQ(calls, std::vector<int>(static_cast<std::size_t>(count), 1));
    EXPECT_EQ(strangers, 0);
  }
}

TEST_P(ThreadPoolTest, NoTwoBodiesShareAWorker) {
  ThreadPool pool(GetParam());
  std::vector<std::atomic<int>> busy(static_cast<std::size_t>(GetParam()));
  std::atomic<int> clashes{0};
  pool.run(500, [&](std::int64_t, int worker) {
    auto& mine = busy[static_cast<std::size_t>(worker)];
    if (mine.fetch_add(1) != 0) ++clashes;
    std::this_thread::yield();
    mine.fetch_sub(1);
  });
  EXPECT_EQ(clashes, 0);
}

TEST_P(ThreadPoolTest, LaterCallsSeeWhatEarlierOnesWrote) {
  ThreadPool pool(GetParam());
  std::vector<std::int64_t> values(97, 0);
  for (int round = 0; round < 300; ++round) {
    pool.run(97, [&](std::int64_t index, int) {
      values[static_cast<std::size_t>((index * 5 + round) % 97)] += 1;
    });
  }
  EXPECT_EQ(values, std::vector<std::int64_t>(97, 300));
}

TEST_P(ThreadPoolTest, WakesUpAfterASleep) {
  ThreadPool pool(GetParam());
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));  // far beyond the spinning time
    std::atomic<int> calls{0};
    pool.run(20, [&](std::int64_t, int) { ++calls; });
    EXPECT_EQ(calls, 20);
  }
}

TEST_P(ThreadPoolTest, WaitsForASlowWorker) {
  ThreadPool pool(GetParam());
  std::vector<int> done(static_cast<std::size_t>(2 * GetParam()), 0);
  pool.run(2 * GetParam(), [&](std::int64_t index, int worker) {
    if (worker != 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    done[static_cast<std::size_t>(index)] = 1;
  });
  EXPECT_EQ(done, std::vector<int>(done.size(), 1));
}

TEST_P(ThreadPoolTest, CallersTakeTurns) {
  ThreadPool pool(std::max(2, GetParam()));
  std::int64_t total = 0;  // unsynchronised: turns order the accesses
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int round = 0; round < 50; ++round) {
        pool.run(8, [&](std::int64_t index, int) {
          if (index == 0) ++total;
        });
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(total, 200);
}

TEST(ThreadPool, WithOneWorkerCallersWorkSideBySide) {
  ThreadPool pool(1);
  std::latch both(2);
  std::thread other([&] { pool.run(1, [&](std::int64_t, int) { both.arrive_and_wait(); }); });
  int calls = 0;
  pool.run(3, [&](std::int64_t index, int worker) {
    if (index == 0) both.arrive_and_wait();  // never returns if the other caller has to wait for this one
    calls += worker == 0;
  });
  other.join();
  EXPECT_EQ(calls, 3);
}

TEST_P(ThreadPoolTest, ComesAndGoesUnused) {
  for (int round = 0; round < 20; ++round) ThreadPool pool(GetParam());
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolTest, testing::Values(1, 2, 5, 16));

TEST(ThreadPool, TakesAllCoresForZero) {
  EXPECT_EQ(ThreadPool(0).threads(), std::max(1, static_cast<int>(std::thread::hardware_concurrency())));
}

}  // namespace
}  // namespace pila::kernels::cpu
