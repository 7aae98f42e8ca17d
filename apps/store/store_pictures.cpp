#include "apps/store/store_pictures.h"

#include <unistd.h>

#include <limits>
#include <system_error>

#include "apps/media/image_header.h"
#include "apps/store/schema.h"
#include "apps/store/sqlite.h"
#include "apps/store/store.h"
#include "engine/core/error.h"
#include "weights/atomic_file.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

void expect_success(const fs::path& path, const std::error_code& error) {
  if (error) throw FileError(path.string() + ": cannot be written: " + error.message());
}

// A folder that takes another one's place once it is filled; without finish() it goes.
class FolderBeside {
 public:
  explicit FolderBeside(const fs::path& place) : place_(place.lexically_normal()) {
    if (place_.filename().empty()) place_ = place_.parent_path();  // "folder/"
    std::error_code error;
    if (fs::exists(place_, error) && !fs::is_empty(place_, error)) {
      throw FileError(place.string() + ": an empty or new folder is expected");
    }
    expect_success(place, error);
    beside_ = place_;
    beside_ += "." + std::to_string(getpid()) + ".partial";
    fs::create_directories(beside_, error);
    expect_success(beside_, error);
  }
  ~FolderBeside() {
    std::error_code ignored;
    fs::remove_all(beside_, ignored);
  }
  FolderBeside(const FolderBeside&) = delete;
  FolderBeside& operator=(const FolderBeside&) = delete;

  const fs::path& path() const { return beside_; }
  void finish() {
    std::error_code error;
    fs::rename(beside_, place_, error);
    expect_success(place_, error);
  }

 private:
  fs::path place_, beside_;
};

// id, label and picture, by id.
sqlite::Statement chosen_rows(const sqlite::Database& database, const PictureChoice& choice) {
  sqlite::Statement rows(
      database,
      "SELECT id, iif(corrected <> '', corrected, label), jpeg FROM items JOIN pictures ON item = id "
      "WHERE corrected <> '' OR (probability >= ? AND doubtful <= ?) ORDER BY id");
  rows.bind(choice.least_probability.value_or(std::numeric_limits<double>::infinity()))
      .bind(std::int64_t{choice.doubtful});
  return rows;
}

}  // namespace

bool looks_like_store(const fs::path& file) { return sqlite::is_database(file); }

ExportedPictures export_pictures(const fs::path& store, const fs::path& folder, const PictureChoice& choice,
                                 const std::function<bool()>& go_on) {
  if (!looks_like_store(store)) throw FileError(store.string() + ": a store of items is expected");
  const sqlite::Database database(store, sqlite::Access::read);
  check_tables(database);
  FolderBeside target(folder);
  ExportedPictures exported;
  // One statement: it sees the store as it is now, whatever is written meanwhile.
  sqlite::Statement rows = chosen_rows(database, choice);
  while (rows.step()) {
    if (!go_on()) throw Error("interrupted while reading " + store.string());
    const std::string id = std::to_string(rows.integer(0)), label = rows.text(1);
    if (!is_class_name(label)) database.fail("item " + id + " has a label that cannot be a class' name");
    const std::vector<std::uint8_t> jpeg = rows.blob(2);
    if (media::sniff_format(jpeg) != media::ImageFormat::jpeg) {
      exported.warnings.push_back(store.string() + ": the picture of item " + id +
                                  " is no JPEG, passed over");
      continue;
    }
    std::error_code error;
    fs::create_directories(target.path() / label, error);
    expect_success(target.path() / label, error);
    write_atomically(target.path() / label / (id + ".jpg"), std::as_bytes(std::span(jpeg)));
    ++exported.pictures;
  }
  if (exported.pictures == 0) {
    database.fail(choice.least_probability ? "holds no such pictures"
                                           : "holds no pictures that a person has labelled");
  }
  target.finish();
  return exported;
}

}  // namespace pila
