#include "apps/live/still_images.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <string>

#include "apps/media/image_header.h"
#include "engine/core/error.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

bool named_as_picture(const fs::path& file) {
  static constexpr std::array<std::string_view, 12> kEndings = {
      ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".avif"};
  std::string ending = file.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return std::find(kEndings.begin(), kEndings.end(), ending) != kEndings.end();
}

bool begins_as_picture(const fs::path& file) {
  std::array<std::uint8_t, media::kMagicBytes> start;
  std::ifstream stream(file, std::ios::binary);
  stream.read(reinterpret_cast<char*>(start.data()), start.size());
  const auto count = static_cast<std::size_t>(stream.gcount());
  return media::sniff_format({start.data(), count}) != media::ImageFormat::unknown;
}

}  // namespace

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
    if (named_as_picture(entry->path()) || begins_as_picture(entry->path())) {
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
