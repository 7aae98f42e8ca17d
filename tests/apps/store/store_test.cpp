// The store: what comes back, what goes when it is full, and what it makes of files that are none of its own.
#include "apps/store/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "apps/store/store_pictures.h"
#include "engine/core/error.h"
#include "tests/apps/process.h"
#include "tests/apps/store/stores.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

using test::run_sql;
using test::stored_item;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint64_t kMiB = 1 << 20;

const media::Image& picture() {
  static const media::Image image = test::photograph(3, 160, 120);
  return image;
}

// The message of what `call` throws; empty when nothing is thrown.
template <class Exception, class Call>
std::string thrown(Call&& call) {
  try {
    call();
  } catch (const Exception& error) {
    return error.what();
  }
  return {};
}

class StoreTest : public testing::Test {
 protected:
  std::unique_ptr<Store> open(KeepPictures pictures = KeepPictures::all,
                              std::uint64_t bytes = 64 * kMiB) const {
    return Store::open({.file = file(), .pictures = pictures, .max_bytes = bytes});
  }
  fs::path file() const { return at("belt.sqlite"); }
  fs::path at(const std::string& name) const { return folder_.path() / name; }

  ExportedPictures export_to(const std::string& name, const PictureChoice& choice = {}) const {
    return export_pictures(file(), at(name), choice, [] { return true; });
  }

  // "label/id.jpg" of all files in a folder.
  std::vector<std::string> files_in(const std::string& name) const {
    std::vector<std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(at(name))) {
      if (entry.is_regular_file()) files.push_back(entry.path().lexically_relative(at(name)).string());
    }
    std::ranges::sort(files);
    return files;
  }

 private:
  test::TemporaryFolder folder_;
};

std::vector<std::int64_t> ids(const std::vector<StoredItem>& items) {
  std::vector<std::int64_t> result;
  for (const StoredItem& item : items) result.push_back(item.id);
  return result;
}

TEST_F(StoreTest, WhatIsAddedComesBack) {
  StoredItem item = stored_item("alkaline", false);
  {
    const auto store = open(KeepPictures::doubtful);
    EXPECT_EQ(store->add(item, picture()), 1);
    item.doubtful = true;
    item.source = std::string("a\0b \xFF'", 6);
    item.probabilities.clear();
    EXPECT_EQ(store->add(item, picture()), 2);
    EXPECT_EQ(store->add(item, media::Image()), 3);
  }
  const auto store = open(KeepPictures::none);
  EXPECT_EQ(store->add(item, picture()), 4);
  const std::vector<StoredItem> items = store->list(10, false, {});
  EXPECT_THAT(ids(items), ElementsAre(4, 3, 2, 1));
  EXPECT_EQ(items[2].source, item.source);
  EXPECT_THAT(items[2].probabilities, IsEmpty());
  EXPECT_TRUE(items[2].doubtful);
  const StoredItem& first = items[3];
  EXPECT_EQ(first.time, 1'700'000'000.25);
  EXPECT_EQ(first.source, "camera:0");
  EXPECT_EQ(first.label, "alkaline");
  EXPECT_EQ(first.probability, 0.75);
  EXPECT_THAT(first.probabilities, ElementsAre(0.75F, 0.2F, 0.05F));
  EXPECT_EQ(first.frames, 12);
  EXPECT_EQ(first.model, "0123456789abcdef");
  EXPECT_EQ(first.corrected, "");
  EXPECT_FALSE(first.doubtful);

  for (const StoredItem& each : items) {
    EXPECT_EQ(each.has_picture, each.id == 2) << each.id;
    EXPECT_EQ(store->picture(each.id).empty(), each.id != 2) << each.id;
  }
  const media::Image back = media::decode_image(store->picture(2));
  EXPECT_EQ(back.width, 160);
  EXPECT_EQ(back.height, 120);
  EXPECT_NEAR(back.pixels[5000], picture().pixels[5000], 12);

  EXPECT_THAT(ids(store->list(2, false, 4)), ElementsAre(3, 2));
  EXPECT_THAT(store->list(2, false, 1), IsEmpty());
  EXPECT_THAT(store->picture(99), IsEmpty());
  item.probability = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(store->add(item, picture()), UsageError);
}

TEST_F(StoreTest, PeopleCorrect) {
  const auto store = open();
  const std::vector<std::string> classes = {"nimh", "alkaline"};
  store->set_classes(classes);
  for (int i = 0; i < 4; ++i) store->add(stored_item("alkaline", i > 0), picture());
  EXPECT_THAT(ids(store->list(10, true, {})), ElementsAre(4, 3, 2));
  store->correct(3, "lithium");
  store->correct(1, "nimh");
  EXPECT_THAT(ids(store->list(10, true, {})), ElementsAre(4, 2));
  EXPECT_EQ(store->list(1, false, 4)[0].corrected, "lithium");
  EXPECT_THAT(store->labels(), ElementsAre("alkaline", "lithium", "nimh"));
  store->correct(3, "nimh");
  EXPECT_THAT(store->labels(), ElementsAre("alkaline", "nimh"));
  EXPECT_THROW(store->correct(99, "nimh"), UsageError);
  for (const std::string& label : {std::string(), std::string(".."), std::string("a/b"), std::string("\n"),
                                   std::string(" a"), std::string(201, 'a'), std::string("a\0", 2)}) {
    EXPECT_THROW(store->correct(3, label), UsageError) << label;
  }
  EXPECT_EQ(store->list(1, false, 4)[0].corrected, "nimh");
}

TEST_F(StoreTest, ClassesAreThoseOfTheModelThatDecides) {
  const std::vector<std::string> two = {"b", "a"}, three = {"c", "b", "a"};
  open()->set_classes(two);
  const auto store = open();
  EXPECT_THAT(store->labels(), ElementsAre("a", "b"));
  store->set_classes(two);  // once more: nothing new
  store->add(stored_item("a", true), picture());
  store->set_classes(three);
  store->add(stored_item("c", true), picture());
  EXPECT_THAT(store->labels(), ElementsAre("a", "b", "c"));
  // Of every item it can be told which probability is whose.
  EXPECT_EQ(run_sql(file(),
                    "SELECT group_concat(name) FROM classes WHERE class_set = "
                    "(SELECT class_set FROM items WHERE id = 1)"),
            "b,a");
  EXPECT_EQ(run_sql(file(), "SELECT count(*) FROM classes"), "5");
}

TEST_F(StoreTest, TheOldestUnlabelledPicturesMakeRoom) {
  const auto store = open(KeepPictures::all, kMiB);
  std::int64_t last = 0;
  for (int i = 0; i < 300; ++i) {
    last = store->add(stored_item("alkaline", true), picture());
    if (i < 3) store->correct(last, "nimh");
    ASSERT_LE(std::stoull(
                  run_sql(file(), "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")),
              kMiB);
  }
  const std::vector<StoredItem> items = store->list(1000, false, {});
  ASSERT_EQ(items.size(), 300u);  // rows are small
  std::vector<std::int64_t> dropped;
  for (const StoredItem& item : items) {
    EXPECT_EQ(item.has_picture, !store->picture(item.id).empty()) << item.id;
    if (!item.has_picture) dropped.push_back(item.id);
  }
  ASSERT_GT(dropped.size(), 10u);
  ASSERT_LT(dropped.size(), 290u);
  EXPECT_EQ(dropped.back(), 4);  // behind the labelled ones, and without a gap
  EXPECT_EQ(dropped.front(), 3 + static_cast<std::int64_t>(dropped.size()));
  EXPECT_EQ(run_sql(file(), "PRAGMA integrity_check"), "ok");
}

TEST_F(StoreTest, ThenItemsGoThatNobodyLabelled) {
  const auto store = open(KeepPictures::none, kMiB);
  StoredItem item = stored_item("alkaline", true);
  item.source.assign(10'000, 's');
  for (int i = 0; i < 200; ++i) {
    const std::int64_t id = store->add(item, picture());
    if (i < 2) store->correct(id, "nimh");
  }
  const std::vector<std::int64_t> left = ids(store->list(1000, false, {}));
  EXPECT_EQ(left.front(), 200);
  EXPECT_EQ(left[left.size() - 2], 2);
  EXPECT_EQ(left.back(), 1);
  EXPECT_LT(left.size(), 120u);

  // In the end there are only labels.
  const std::string full = thrown<FileError>([&] {
    for (int i = 0; i < 200; ++i) store->correct(store->add(item, picture()), "nimh");
  });
  EXPECT_THAT(full, AllOf(HasSubstr(file().string()), HasSubstr("full")));
  const std::size_t labelled = store->list(1000, false, {}).size();
  EXPECT_THROW(store->add(item, picture()), FileError);
  EXPECT_EQ(store->list(1000, false, {}).size(), labelled);
  EXPECT_EQ(run_sql(file(), "PRAGMA integrity_check"), "ok");
}

TEST_F(StoreTest, ASmallerBoundShrinksTheFile) {
  {
    const auto store = open();
    for (int i = 0; i < 400; ++i) store->add(stored_item("alkaline", true), picture());
  }
  ASSERT_GT(fs::file_size(file()), kMiB * 3 / 2);
  EXPECT_THROW(open(KeepPictures::all, kMiB - 1), UsageError);
  const auto store = open(KeepPictures::all, kMiB);
  EXPECT_LE(fs::file_size(file()), kMiB);
  EXPECT_TRUE(store->list(1, false, {})[0].has_picture);
  EXPECT_EQ(run_sql(file(), "PRAGMA integrity_check"), "ok");
}

TEST_F(StoreTest, ManyThreads) {
  const auto store = open();
  constexpr int kItems = 60;
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int writer = 0; writer < 2; ++writer) {
    threads.emplace_back([&] {
      for (int i = 0; i < kItems; ++i) store->add(stored_item("alkaline", true), picture());
    });
  }
  threads.emplace_back([&] {
    for (std::int64_t id = 1; id <= kItems;) {
      if (store->picture(id).empty()) continue;
      store->correct(id++, "nimh");
    }
    done = true;
  });
  while (!done) {
    const auto items = store->list(1000, false, {});
    EXPECT_TRUE(std::ranges::is_sorted(items, std::greater(), &StoredItem::id));
    store->labels();
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store->list(1000, false, {}).size(), 2u * kItems);
  EXPECT_EQ(store->list(1000, true, {}).size(), std::size_t{kItems});
}

TEST_F(StoreTest, PicturesAreExportedByLabel) {
  const auto store = open();
  for (int i = 0; i < 4; ++i) store->add(stored_item("alkaline", i == 3), picture());
  EXPECT_THAT(thrown<FileError>([&] { export_to("none"); }), HasSubstr("labelled"));
  EXPECT_FALSE(fs::exists(at("none")));
  store->correct(1, "nimh");
  store->correct(2, "alkaline");
  EXPECT_EQ(export_to("labelled").pictures, 2u);  // while the store is open
  EXPECT_THAT(files_in("labelled"), ElementsAre("alkaline/2.jpg", "nimh/1.jpg"));
  EXPECT_EQ(media::load_image(at("labelled/nimh/1.jpg")).width, 160);
  fs::create_directories(at("all"));
  export_to("all/", {.least_probability = 0, .doubtful = true});
  EXPECT_THAT(files_in("all"),
              ElementsAre("alkaline/2.jpg", "alkaline/3.jpg", "alkaline/4.jpg", "nimh/1.jpg"));
  export_to("sure", {.least_probability = 0.75, .doubtful = false});
  EXPECT_THAT(files_in("sure"), ElementsAre("alkaline/2.jpg", "alkaline/3.jpg", "nimh/1.jpg"));
  export_to("surer", {.least_probability = 0.76, .doubtful = true});
  EXPECT_THAT(files_in("surer"), ElementsAre("alkaline/2.jpg", "nimh/1.jpg"));

  EXPECT_THAT(thrown<FileError>([&] { export_to("all"); }), HasSubstr("empty or new"));
  int asked = 0;
  EXPECT_THROW(export_pictures(file(), at("half"), {}, [&] { return asked++ < 1; }), Error);
  std::size_t folders = 0;
  for (const auto& entry : fs::directory_iterator(at(""))) folders += entry.is_directory();
  EXPECT_EQ(folders, 4u) << "nothing half done is left";
}

TEST_F(StoreTest, HostileContents) {
  {
    const auto store = open();
    for (int i = 0; i < 3; ++i) {
      store->add(stored_item("alkaline", true), picture());
      store->correct(i + 1, "nimh");
    }
  }
  run_sql(file(), "UPDATE pictures SET jpeg = CAST('<script>' AS BLOB) WHERE item = 2");
  run_sql(file(), "DELETE FROM pictures WHERE item = 3");
  const ExportedPictures exported = export_to("one");
  EXPECT_EQ(exported.pictures, 1u);
  EXPECT_THAT(exported.warnings, ElementsAre(AllOf(HasSubstr(file().string()), HasSubstr("item 2"))));
  EXPECT_THAT(open()->picture(3), IsEmpty());

  run_sql(file(), "UPDATE items SET corrected = '../../evil' WHERE id = 1");
  EXPECT_THAT(thrown<FileError>([&] { export_to("two"); }), HasSubstr("item 1"));
  EXPECT_FALSE(fs::exists(at("two")));
  EXPECT_FALSE(fs::exists(at("../evil")));
  run_sql(file(), "UPDATE items SET probabilities = x'0102030405' WHERE id = 1");
  EXPECT_THAT(thrown<FileError>([&] { open()->list(9, false, {}); }), HasSubstr("item 1"));
}

// Whatever is wrong with a file that is no store is said with its name, and the file stays as it is.
TEST_F(StoreTest, FilesThatAreNoStores) {
  const auto refused = [&](const std::string& reason) {
    const std::string before = test::read_text(file());
    EXPECT_THAT(thrown<FileError>([&] { open(); }), AllOf(HasSubstr(file().string()), HasSubstr(reason)));
    EXPECT_THAT(thrown<FileError>([&] { export_to("out"); }), HasSubstr(file().string())) << reason;
    EXPECT_EQ(test::read_text(file()), before) << reason;
    EXPECT_FALSE(fs::exists(at("belt.sqlite-wal"))) << reason;
    fs::remove_all(file());
  };
  const auto changed = [&](const std::string& sql, const std::string& reason) {
    open()->add(stored_item("alkaline", true), picture());
    run_sql(file(), sql);
    refused(reason);
  };
  test::write_text(file(), std::string(5000, 'x'));
  refused("not a database");
  test::write_text(file(), std::string("SQLite format 3\0", 16) + std::string(5000, 'x'));
  refused("");
  fs::create_directories(file());
  EXPECT_THROW(open(), FileError);
  fs::remove(file());
  EXPECT_THROW(Store::open({.file = at("no/such/folder/belt.sqlite")}), FileError);
  EXPECT_THROW(export_to("out"), FileError);
  run_sql(file(), "CREATE TABLE bookmarks(id)");
  refused("another program");
  run_sql(file(), "PRAGMA application_id = 7; CREATE TABLE items(id)");
  refused("another program");
  changed("PRAGMA user_version = 2", "newer");
  changed("PRAGMA user_version = 0", "tables");
  changed("DROP TABLE pictures", "tables");
  changed("ALTER TABLE items ADD COLUMN more TEXT", "tables");
  changed("DROP INDEX items_doubtful", "tables");
  changed("CREATE TRIGGER evil AFTER INSERT ON items BEGIN DELETE FROM pictures; END", "tables");
  changed("CREATE VIEW evil AS SELECT 1", "tables");
}

// Of a file that was cut or has wrong bytes, what can be read is read, and the rest is a FileError.
TEST_F(StoreTest, DamagedFiles) {
  {
    const auto store = open();
    store->set_classes(std::vector<std::string>{"alkaline", "nimh"});
    for (int i = 0; i < 12; ++i) store->add(stored_item("alkaline", true), picture());
    store->correct(2, "nimh");
  }
  const std::string whole = test::read_text(file());
  std::size_t failures = 0;
  const auto survives = [&](const std::string& bytes) {
    for (const char* name : {"belt.sqlite-wal", "belt.sqlite-shm"}) fs::remove(at(name));
    fs::remove_all(at("out"));
    test::write_text(file(), bytes);
    const auto attempt = [&](const auto& call) { failures += !thrown<FileError>(call).empty(); };
    attempt([&] { export_to("out"); });
    attempt([&] {
      const auto store = open();
      attempt([&] { store->list(100, false, {}); });
      attempt([&] { store->list(100, true, {}); });
      for (int i = 0; i < 14; ++i) attempt([&] { store->picture(i); });
      attempt([&] { store->labels(); });
      attempt([&] { store->add(stored_item("alkaline", true), picture()); });
      attempt([&] { store->correct(3, "nimh"); });
    });
  };
  for (std::size_t part = 1; part < 12; ++part) survives(whole.substr(0, whole.size() * part / 12));
  EXPECT_GT(failures, 0u);
  failures = 0;
  const auto places = test::uniform_data<double>(300, 5, 0, 1);
  for (std::size_t i = 0; i + 2 < places.size(); i += 3) {
    std::string bytes = whole;
    // One in the first page, which describes the file, one anywhere.
    bytes[static_cast<std::size_t>(places[i] * 4096)] ^= static_cast<char>(1 + 254 * places[i + 2]);
    bytes[static_cast<std::size_t>(places[i + 1] * static_cast<double>(bytes.size() - 1))] ^= 0x55;
    survives(bytes);
  }
  EXPECT_GT(failures, 0u);
}

}  // namespace
}  // namespace pila
