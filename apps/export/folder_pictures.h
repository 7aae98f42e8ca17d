// The pictures of a folder, for calibrating a network and measuring it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "apps/data/image_cache.h"
#include "apps/report/predictions.h"
#include "engine/core/context.h"
#include "layers/preprocessing.h"

namespace pila {

// Which pictures of a folder are wanted.
struct Wanted {
  bool labelled = false;  // no others
  // So many of them, evenly spread over the folder.
  std::size_t most = std::numeric_limits<std::size_t>::max();
};

// A picture's label is the class that the first such folder on its way is named after; there may be none.
class FolderPictures {
 public:
  // Decodes them to the network's size and reports those that cannot be read. Throws FileError for a folder
  // without any picture that is wanted, Error when interrupted.
  FolderPictures(const std::filesystem::path& folder, const std::vector<std::string>& classes,
                 const Preprocessing& size, const Wanted& wanted);

  // Those that could be read: where they lie, and their labels, kUnknownLabel for none.
  const std::vector<std::string>& files() const { return files_; }
  const std::vector<std::int32_t>& labels() const { return labels_; }
  // uint8 [count, height, width, 3], from the `first` of them.
  Tensor pixels(const Context& ctx, std::size_t first, std::size_t count) const;

 private:
  std::optional<ImageCache> cache_;
  std::vector<std::size_t> indices_;  // into the cache
  std::vector<std::string> files_;
  std::vector<std::int32_t> labels_;
};

}  // namespace pila
