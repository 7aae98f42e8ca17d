// The store under a process that is killed and a disk that is full.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "engine/core/error.h"
#include "tests/apps/process.h"
#include "tests/apps/store/stores.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

using test::run_sql;
using test::stored_item;
using testing::HasSubstr;

class StoreFaults : public testing::Test {
 protected:
  StoreOptions options() const {
    return {.file = folder_.path() / "belt.sqlite", .pictures = KeepPictures::all, .max_bytes = 2 << 20};
  }
  fs::path file() const { return options().file; }

  const media::Image picture_ = test::photograph(3, 160, 120);

 private:
  test::TemporaryFolder folder_;
};

// Adds, corrects and tells each id when it has done so, until it is killed.
[[noreturn]] void add_for_ever(const StoreOptions& options, const media::Image& picture, int report) {
  try {
    const auto store = Store::open(options);
    for (;;) {
      const std::int64_t id = store->add(stored_item("alkaline", true), picture);
      if (id % 10 == 0) store->correct(id, "nimh");
      if (write(report, &id, sizeof(id)) != sizeof(id)) _exit(1);
    }
  } catch (...) {
    _exit(2);
  }
}

TEST_F(StoreFaults, AProcessThatIsKilledLosesNothing) {
  std::int64_t before = 0;
  for (const int adds : {0, 1, 2, 30, 3, 200, 5, 77}) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) add_for_ever(options(), picture_, ends[1]);
    close(ends[1]);
    std::int64_t told = before;
    for (int i = 0; i < adds; ++i) ASSERT_EQ(read(ends[0], &told, sizeof(told)), ssize_t{sizeof(told)});
    // Another process that opens the store meanwhile, or makes it at the same time, is in nobody's way.
    EXPECT_NO_THROW(Store::open(options())->list(10, false, {}));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "it was to be killed";
    for (std::int64_t more = 0; read(ends[0], &more, sizeof(more)) == ssize_t{sizeof(more)};) told = more;
    close(ends[0]);

    const auto store = Store::open(options());
    EXPECT_EQ(run_sql(file(), "PRAGMA integrity_check"), "ok");
    const std::vector<StoredItem> items = store->list(100'000, false, {});
    const auto count = static_cast<std::int64_t>(items.size());
    EXPECT_GE(count, told);
    for (std::int64_t i = 0; i < count; ++i) {
      const StoredItem& item = items[static_cast<std::size_t>(i)];
      ASSERT_EQ(item.id, count - i);
      ASSERT_EQ(item.has_picture, !store->picture(item.id).empty());
      const bool was_corrected = item.id % 10 == 0 && item.id > before && item.id <= told;
      ASSERT_TRUE(item.corrected == "nimh" || !was_corrected) << item.id;
    }
    before = count;
  }
}

// Files cannot grow beyond this while it lives.
class FileLimit {
 public:
  explicit FileLimit(rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit = {bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileLimit() { setrlimit(RLIMIT_FSIZE, &before_); }
  FileLimit(const FileLimit&) = delete;
  FileLimit& operator=(const FileLimit&) = delete;

 private:
  rlimit before_;
};

TEST_F(StoreFaults, AFullDiskIsSaidAndPasses) {
  const auto store = Store::open(options());
  std::int64_t added = 0;
  const auto add_all = [&](int count) {
    for (int i = 0; i < count; ++i) added = store->add(stored_item("alkaline", true), picture_);
  };
  add_all(5);
  {
    const FileLimit limit(300'000);
    std::string message;
    try {
      add_all(1000);
    } catch (const FileError& error) {
      message = error.what();
    }
    EXPECT_THAT(message, HasSubstr(file().string() + ": "));
    EXPECT_THROW(add_all(1), FileError);  // still
    EXPECT_THROW(
        {
          for (std::int64_t id = 1; id <= added; ++id) store->correct(id, "nimh");
        },
        FileError);
    EXPECT_FALSE(store->picture(added).empty());
  }
  const std::int64_t last = added;
  EXPECT_EQ(store->list(1000, false, {}).size(), static_cast<std::size_t>(last));
  add_all(20);
  EXPECT_EQ(added, last + 20);
  store->correct(1, "nimh");
  EXPECT_EQ(run_sql(file(), "PRAGMA integrity_check"), "ok");
  EXPECT_EQ(Store::open(options())->list(1000, false, {}).size(), static_cast<std::size_t>(added));
}

TEST_F(StoreFaults, AFileThatCannotBeWritten) {
  Store::open(options())->add(stored_item("alkaline", true), picture_);
  fs::permissions(file(), fs::perms::owner_read);
  if (access(file().c_str(), W_OK) == 0) GTEST_SKIP() << "this user may write everywhere";
  EXPECT_THROW(Store::open(options()), FileError);
}

}  // namespace
}  // namespace pila
