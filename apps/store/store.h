// Items on disk: what was decided, and pictures to learn from once a person has corrected it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "apps/media/image.h"

namespace pila {

enum class KeepPictures { none, doubtful, all };

struct StoreOptions {
  std::filesystem::path file;
  KeepPictures pictures = KeepPictures::doubtful;
  std::uint64_t max_bytes = std::uint64_t{4} << 30;  // then the oldest pictures go that nobody has labelled
};

struct StoredItem {
  std::int64_t id = 0;        // given by the store
  double time = 0;            // Unix seconds
  std::string source, label;  // label: as decided, "others" for what was not recognised
  double probability = 0;
  std::vector<float> probabilities;  // by class
  std::int64_t frames = 0;
  std::string model;      // hash of the model file
  std::string corrected;  // by a person; empty: not looked at
  bool doubtful = false;
  bool has_picture = false;
};

// An SQLite database in WAL mode. One process writes; others may read. For any number of threads.
class Store {
 public:
  // Made where it is missing. Throws FileError for a file that is no store, or of a newer version.
  static std::unique_ptr<Store> open(const StoreOptions& options);
  virtual ~Store() = default;

  // Classes of the model that decides from here on, in its order.
  virtual void set_classes(std::span<const std::string> classes) = 0;
  // Returns the id. The picture is kept as JPEG, if options say so. Throws FileError when the disk is full.
  virtual std::int64_t add(const StoredItem& item, const media::Image& picture) = 0;
  // The latest first; doubtful_only: those that are doubtful and not corrected yet.
  virtual std::vector<StoredItem> list(std::size_t limit, bool doubtful_only,
                                       std::optional<std::int64_t> before_id) const = 0;
  virtual std::vector<std::uint8_t> picture(std::int64_t id) const = 0;  // JPEG; empty: none
  // Throws UsageError for an unknown id or an empty label.
  virtual void correct(std::int64_t id, const std::string& label) = 0;
  virtual std::vector<std::string> labels() const = 0;  // classes, and all that people wrote, sorted
};

}  // namespace pila
