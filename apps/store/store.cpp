#include "apps/store/store.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>

#include "apps/media/image_writer.h"
#include "apps/store/schema.h"
#include "apps/store/sqlite.h"
#include "engine/core/error.h"

namespace pila {
namespace {

using sqlite::Access;
using sqlite::Database;
using sqlite::Statement;
using sqlite::Transaction;

constexpr int kQuality = 90;
constexpr std::uint64_t kLeastBytes = 1 << 20;
static_assert(std::endian::native == std::endian::little);  // of floats in the file

StoredItem item_of(const Database& database, const Statement& row) {
  StoredItem item;
  item.id = row.integer(0);
  item.time = row.real(1);
  item.source = row.text(2);
  item.label = row.text(3);
  item.probability = row.real(4);
  const std::vector<std::uint8_t> floats = row.blob(5);
  if (floats.size() % sizeof(float) != 0) {
    database.fail("item " + std::to_string(item.id) + " has " + std::to_string(floats.size()) +
                  " bytes of probabilities, where a multiple of 4 is expected");
  }
  item.probabilities.resize(floats.size() / sizeof(float));
  if (!floats.empty()) std::memcpy(item.probabilities.data(), floats.data(), floats.size());
  item.frames = row.integer(6);
  item.model = row.text(7);
  item.corrected = row.text(8);
  item.doubtful = row.integer(9) != 0;
  item.has_picture = row.integer(10) != 0;
  return item;
}

void check_item(const StoredItem& item) {
  const auto finite = [](double value) { return std::isfinite(value); };
  if (!finite(item.time) || !finite(item.probability) || !std::ranges::all_of(item.probabilities, finite)) {
    throw UsageError("[store] an item of finite numbers is expected");
  }
  if (!item.corrected.empty() && !is_class_name(item.corrected)) {
    throw UsageError("[store] a label that can be a class' name is expected, got '" + item.corrected + "'");
  }
}

class SqliteStore : public Store {
 public:
  explicit SqliteStore(const StoreOptions& options)
      : options_(options), database_(options.file, Access::write) {
    make_tables(database_);
    check_tables(database_);
    // Freed pages are not overwritten: flash memory wears out.
    database_.run(
        "PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = 4194304; PRAGMA secure_delete = OFF");
    page_bytes_ = static_cast<std::uint64_t>(database_.integer("PRAGMA page_size"));
    class_set_ = latest_class_set();
    shrink();
  }

  void set_classes(std::span<const std::string> classes) override {
    const std::lock_guard lock(mutex_);
    class_set_ = latest_class_set();
    if (std::ranges::equal(classes_of(class_set_), classes)) return;
    Transaction transaction(database_, Access::write);
    const std::int64_t next = latest_class_set() + 1;
    for (std::size_t number = 0; number < classes.size(); ++number) {
      Statement(database_, "INSERT INTO classes VALUES(?, ?, ?)")
          .bind(next)
          .bind(static_cast<std::int64_t>(number))
          .bind(classes[number])
          .step();
    }
    transaction.commit();
    class_set_ = next;
  }

  std::int64_t add(const StoredItem& item, const media::Image& picture) override {
    check_item(item);
    const bool wanted = options_.pictures == KeepPictures::all ||
                        (options_.pictures == KeepPictures::doubtful && item.doubtful);
    std::vector<std::uint8_t> jpeg;
    if (wanted && picture.width > 0) jpeg = media::encode_jpeg(picture, kQuality);

    const std::lock_guard lock(mutex_);
    database_.run("PRAGMA synchronous = NORMAL");
    Transaction transaction(database_, Access::write);
    const std::span<const float> probabilities = item.probabilities;
    if (!make_room(jpeg.size() + probabilities.size_bytes() + item.source.size() + item.label.size() +
                   item.model.size())) {
      database_.fail("is full: what people have labelled leaves no room in " +
                     std::to_string(options_.max_bytes >> 20) + " MiB");
    }
    Statement(database_,
              "INSERT INTO items(time, source, label, probability, class_set, probabilities, frames, model, "
              "corrected, doubtful, picture) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(item.time)
        .bind(item.source)
        .bind(item.label)
        .bind(item.probability)
        .bind(class_set_)
        .bind(std::as_bytes(probabilities))
        .bind(item.frames)
        .bind(item.model)
        .bind(item.corrected)
        .bind(std::int64_t{item.doubtful})
        .bind(std::int64_t{!jpeg.empty()})
        .step();
    const std::int64_t id = database_.last_id();
    if (!jpeg.empty()) {
      Statement(database_, "INSERT INTO pictures VALUES(?, ?)")
          .bind(id)
          .bind(std::as_bytes(std::span(jpeg)))
          .step();
    }
    transaction.commit();
    return id;
  }

  std::vector<StoredItem> list(std::size_t limit, bool doubtful_only,
                               std::optional<std::int64_t> before_id) const override {
    const std::lock_guard lock(mutex_);
    Statement rows(database_,
                   std::string("SELECT id, time, source, label, probability, probabilities, frames, model, "
                               "corrected, doubtful, picture FROM items WHERE id < ?") +
                       (doubtful_only ? " AND doubtful = 1 AND corrected = ''" : "") +
                       " ORDER BY id DESC LIMIT ?");
    constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
    rows.bind(before_id.value_or(kMost))
        .bind(static_cast<std::int64_t>(std::min(limit, static_cast<std::size_t>(kMost))));
    std::vector<StoredItem> items;
    while (rows.step()) items.push_back(item_of(database_, rows));
    return items;
  }

  std::vector<std::uint8_t> picture(std::int64_t id) const override {
    const std::lock_guard lock(mutex_);
    Statement row(database_, "SELECT jpeg FROM pictures WHERE item = ?");
    row.bind(id);
    return row.step() ? row.blob(0) : std::vector<std::uint8_t>();
  }

  void correct(std::int64_t id, const std::string& label) override {
    if (!is_class_name(label)) {
      throw UsageError("[store] a label that can be a class' name is expected, got '" + label + "'");
    }
    const std::lock_guard lock(mutex_);
    database_.run("PRAGMA synchronous = FULL");
    Transaction transaction(database_, Access::write);
    Statement update(database_, "UPDATE items SET corrected = ? WHERE id = ? RETURNING id");
    if (!update.bind(label).bind(id).step()) {
      throw UsageError("[store] an item of the store is expected, got " + std::to_string(id));
    }
    while (update.step()) continue;
    transaction.commit();
  }

  std::vector<std::string> labels() const override {
    const std::lock_guard lock(mutex_);
    Statement rows(database_,
                   "SELECT name FROM classes WHERE class_set = ? UNION "
                   "SELECT corrected FROM items WHERE corrected <> '' ORDER BY 1");
    rows.bind(class_set_);
    std::vector<std::string> labels;
    while (rows.step()) labels.push_back(rows.text(0));
    return labels;
  }

 private:
  std::int64_t latest_class_set() const {
    return database_.integer("SELECT ifnull(max(class_set), 0) FROM classes");
  }

  std::vector<std::string> classes_of(std::int64_t class_set) const {
    Statement rows(database_, "SELECT name FROM classes WHERE class_set = ? ORDER BY number");
    rows.bind(class_set);
    std::vector<std::string> classes;
    while (rows.step()) classes.push_back(rows.text(0));
    return classes;
  }

  std::uint64_t pages() const { return static_cast<std::uint64_t>(database_.integer("PRAGMA page_count")); }
  std::uint64_t free_pages() const {
    return static_cast<std::uint64_t>(database_.integer("PRAGMA freelist_count"));
  }

  // For what takes so many bytes, with what the tables around it may grow by. False: there is none.
  bool make_room(std::uint64_t bytes) {
    constexpr std::uint64_t kSlackPages = 8;
    const std::uint64_t most = options_.max_bytes / page_bytes_, wanted = bytes / page_bytes_ + kSlackPages;
    while (pages() - free_pages() + wanted > most) {
      if (!drop_picture() && !drop_items()) return false;
    }
    return true;
  }

  bool drop_picture() {
    const std::int64_t oldest = database_.integer(
        "SELECT ifnull((SELECT id FROM items WHERE picture = 1 AND corrected = '' ORDER BY id LIMIT 1), 0)");
    if (oldest == 0) return false;
    Statement(database_, "DELETE FROM pictures WHERE item = ?").bind(oldest).step();
    Statement(database_, "UPDATE items SET picture = 0 WHERE id = ?").bind(oldest).step();
    return true;
  }

  // Many at once: the labelled ones among them are passed over each time.
  bool drop_items() {
    Statement rows(database_,
                   "DELETE FROM items WHERE id IN (SELECT id FROM items WHERE corrected = '' ORDER BY id "
                   "LIMIT 64) RETURNING id");
    const bool any = rows.step();
    while (rows.step()) continue;
    return any;
  }

  // A store that was allowed to be larger before.
  void shrink() {
    if (pages() * page_bytes_ <= options_.max_bytes) return;
    Transaction transaction(database_, Access::write);
    make_room(0);
    transaction.commit();
    // In steps, so that the log stays small.
    for (std::uint64_t before = 0; free_pages() != before;) {
      before = free_pages();
      database_.run("PRAGMA incremental_vacuum(1024)");
    }
    database_.run("PRAGMA wal_checkpoint(TRUNCATE)");
  }

  const StoreOptions options_;
  mutable std::mutex mutex_;
  Database database_;
  std::uint64_t page_bytes_ = 0;
  std::int64_t class_set_ = 0;
};

}  // namespace

bool is_class_name(std::string_view name) {
  constexpr std::size_t kLongest = 200;  // of the 255 bytes that a folder's name may have
  if (name.empty() || name.size() > kLongest || name.front() == '.') return false;
  if (name.front() == ' ' || name.back() == ' ') return false;
  return std::ranges::none_of(name, [](unsigned char c) { return c < 0x20 || c == 0x7f || c == '/'; });
}

std::unique_ptr<Store> Store::open(const StoreOptions& options) {
  if (options.max_bytes < kLeastBytes) {
    throw UsageError("[store] room for 1 MiB or more is expected, got " + std::to_string(options.max_bytes) +
                     " bytes");
  }
  return std::make_unique<SqliteStore>(options);
}

}  // namespace pila
