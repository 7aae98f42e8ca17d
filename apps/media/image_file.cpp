#include "apps/media/image_file.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <string>

#include "apps/media/image_header.h"

namespace fs = std::filesystem;

namespace pila::media {
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
  std::array<std::uint8_t, kMagicBytes> start;
  std::ifstream stream(file, std::ios::binary);
  stream.read(reinterpret_cast<char*>(start.data()), start.size());
  const auto count = static_cast<std::size_t>(stream.gcount());
  return sniff_format({start.data(), count}) != ImageFormat::unknown;
}

}  // namespace

bool looks_like_image(const fs::path& file) { return named_as_picture(file) || begins_as_picture(file); }

}  // namespace pila::media
