#include "apps/data/still_images.h"

#include <algorithm>
#include <string>

#include "apps/media/image_file.h"
#include "engine/core/error.h"

namespace fs = std::filesystem;

namespace pila {
StillImages find_images(const fs::path& source) {
  std::error_code error;
  const auto status = fs::status(source, error);
  if (!fs::exists(status)) throw FileError(source.string() + ": no such file or folder");
  if (!fs::is_directory(status)) return {{source}, 0};
  StillImages images;
  fs::recursive_directory_iterator entry(source, fs::directory_options::skip_permission_denied, error);
  if (error) throw FileError(source.string() + ": " + error.message());
  for (; entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code unreadable;
    if (!entry->is_regular_file(unreadable)) continue;
    if (media::looks_like_image(entry->path())) {
      images.files.push_back(entry->path());
    } else {
      ++images.other_files;
    }
  }
  if (error) throw FileError(source.string() + ": " + error.message());
  // As bytes, like `LC_ALL=C sort`, and not folder by folder.
  std::sort(images.files.begin(), images.files.end(),
            [](const fs::path& a, const fs::path& b) { return a.native() < b.native(); });
  return images;
}

}  // namespace pila
