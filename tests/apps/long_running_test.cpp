// What programs that run for long are made of.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <future>
#include <thread>
#include <vector>

#include "apps/core/alarms.h"
#include "apps/core/background_worker.h"
#include "apps/core/memory.h"
#include "apps/core/service.h"
#include "apps/core/ticker.h"
#include "tests/apps/process.h"

namespace pila {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

TEST(BackgroundWorker, DoesAllInOrderBeforeItEnds) {
  std::vector<int> done;
  {
    BackgroundWorker worker(3);
    for (int i = 0; i < 100; ++i) worker.push([&done, i] { done.push_back(i); });
  }
  ASSERT_THAT(done, SizeIs(100));
  EXPECT_TRUE(std::is_sorted(done.begin(), done.end()));
}

TEST(BackgroundWorker, RefusesWhatItHasNoRoomFor) {
  std::promise<void> go;
  std::promise<void> begun;
  std::atomic<int> done = 0;
  BackgroundWorker worker(2);
  worker.push([&, wait = go.get_future().share()] {
    begun.set_value();
    wait.wait();
  });
  begun.get_future().wait();
  EXPECT_TRUE(worker.try_push([&] { ++done; }));
  EXPECT_TRUE(worker.try_push([&] { ++done; }));
  EXPECT_FALSE(worker.try_push([&] { ++done; }));
  go.set_value();
  worker.drain();
  EXPECT_EQ(done, 2);
  EXPECT_TRUE(worker.try_push([&] { ++done; }));
}

TEST(Memory, GrowsByWhatIsUsed) {
  constexpr std::int64_t kBytes = 64 << 20;
  const std::int64_t before = resident_bytes();
  EXPECT_GT(before, 1 << 20);
  const std::vector<char> used(kBytes, 1);
  EXPECT_GT(resident_bytes() - before, kBytes / 2);
}

TEST(Ticker, CallsUntilItIsGone) {
  std::promise<void> thrice;
  std::atomic<int> calls = 0;
  {
    const Ticker ticker(std::chrono::milliseconds(1), [&] {
      if (++calls == 3) thrice.set_value();
    });
    thrice.get_future().wait();
  }
  const int at_the_end = calls;
  std::this_thread::yield();
  EXPECT_EQ(calls, at_the_end);
}

TEST(Alarms, TellsOfEachKindOnceUntilItIsOver) {
  std::vector<std::string> lines;
  Alarms alarms([&](const std::string& line) { lines.push_back(line); });
  alarms.over("store");  // nothing was wrong
  alarms.raise("store", "store: disk full");
  alarms.raise("store", "store: disk full");
  alarms.raise("page", "page: gone");
  alarms.over("store");
  alarms.over("store");
  alarms.raise("store", "store: disk full again");
  alarms.tell("item 3: too late");
  alarms.tell("item 3: too late");
  EXPECT_THAT(lines, ElementsAre("store: disk full", "page: gone", "store: works again",
                                 "store: disk full again", "item 3: too late", "item 3: too late"));
  EXPECT_EQ(alarms.count(), 6);
}

TEST(Service, IsToldThroughItsSocket) {
  const test::TemporaryFolder folder;
  const std::string path = (folder.path() / "notify").string();
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  ASSERT_LT(path.size(), sizeof(address.sun_path));
  path.copy(address.sun_path, path.size());
  const int stream = socket(AF_UNIX, SOCK_DGRAM, 0);
  ASSERT_EQ(bind(stream, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  setenv("NOTIFY_SOCKET", path.c_str(), 1);
  notify_service("READY=1");
  char text[64] = {};
  EXPECT_EQ(recv(stream, text, sizeof text, MSG_DONTWAIT), 7);
  EXPECT_STREQ(text, "READY=1");
  close(stream);
  notify_service("WATCHDOG=1");  // nobody listens any more
  setenv("NOTIFY_SOCKET", "nonsense", 1);
  notify_service("WATCHDOG=1");
  unsetenv("NOTIFY_SOCKET");
  notify_service("WATCHDOG=1");
}

}  // namespace
}  // namespace pila
