// Items on disk: what was decided, and pictures to learn from once a person has corrected it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "apps/media/image.h"

namespace pila {

enum class KeepPictures { none, doubtful, all };

struct StoreOptions {
  std::filesystem::path file;
  KeepPictures pictures = KeepPictures::doubtful;
  // Of the file, 1 MiB or more: then the oldest pictures go that nobody has labelled, then such items. The
  // log beside the file comes on top, some 4 MB.
  std::uint64_t max_bytes = std::uint64_t{4} << 30;
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

// Whether a class can be called so. Classes are folders, too: a name of 1 to 200 bytes without "/", control
// characters, a leading "." or blanks around it.
bool is_class_name(std::string_view name);

// An SQLite database in WAL mode, see docs/file-formats.md. One process writes; others may read. For any
// number of threads. A file that is damaged or cannot be written is a FileError in every function, and what
// the function was to do is not done, not even in part.
class Store {
 public:
  // Made where it is missing. Throws FileError for a file that is no store, or of a newer version, UsageError
  // for a max_bytes below 1 MiB.
  static std::unique_ptr<Store> open(const StoreOptions& options);
  virtual ~Store() = default;

  // Classes of the model that decides from here on, in its order.
  virtual void set_classes(std::span<const std::string> classes) = 0;
  // Returns the id, larger than all before. The picture is kept as JPEG, if options say so and it has pixels.
  // Survives the end of the process at once, a power cut some seconds later. Throws FileError when the disk,
  // or max_bytes, is full (of what people labelled), UsageError for numbers that are not finite.
  virtual std::int64_t add(const StoredItem& item, const media::Image& picture) = 0;
  // The latest first; doubtful_only: those that are doubtful and not corrected yet; before_id: smaller ids
  // alone.
  virtual std::vector<StoredItem> list(std::size_t limit, bool doubtful_only,
                                       std::optional<std::int64_t> before_id) const = 0;
  // JPEG, as far as the store knows: a damaged file may hold anything. Empty: none.
  virtual std::vector<std::uint8_t> picture(std::int64_t id) const = 0;
  // Survives a power cut once it returns. Throws UsageError for an unknown id, and for a label that
  // is_class_name() refuses.
  virtual void correct(std::int64_t id, const std::string& label) = 0;
  virtual std::vector<std::string> labels() const = 0;  // classes, and all that people wrote, sorted
};

}  // namespace pila
