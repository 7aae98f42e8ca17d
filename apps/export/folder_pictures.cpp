#include "apps/export/folder_pictures.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "apps/core/command.h"
#include "apps/core/progress.h"
#include "apps/data/still_images.h"
#include "engine/core/error.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

constexpr std::size_t kMaxCacheBytes = std::size_t{512} << 20;

std::int32_t label_of(const fs::path& picture, const fs::path& folder,
                      const std::vector<std::string>& classes) {
  for (const fs::path& on_the_way : picture.lexically_relative(folder).parent_path()) {
    const auto found = std::find(classes.begin(), classes.end(), on_the_way.string());
    if (found != classes.end()) return static_cast<std::int32_t>(found - classes.begin());
  }
  return kUnknownLabel;
}

std::vector<fs::path> wanted_files(const fs::path& folder, const std::vector<std::string>& classes,
                                   const Wanted& wanted) {
  std::vector<fs::path> files = find_images(folder).files;
  if (files.empty()) throw FileError(folder.string() + ": pictures are expected, and there are none");
  if (wanted.labelled) {
    std::erase_if(files,
                  [&](const fs::path& file) { return label_of(file, folder, classes) == kUnknownLabel; });
    if (files.empty()) {
      throw FileError(fmt::format(
          "{}: pictures are expected in folders named after the model's classes ({}), and there are none",
          folder.string(), fmt::join(classes, ", ")));
    }
  }
  if (files.size() <= wanted.most) return files;
  std::vector<fs::path> spread;
  for (std::size_t i = 0; i < wanted.most; ++i) spread.push_back(files[i * files.size() / wanted.most]);
  return spread;
}

}  // namespace

FolderPictures::FolderPictures(const fs::path& folder, const std::vector<std::string>& classes,
                               const Preprocessing& size, const Wanted& wanted) {
  const std::vector<fs::path> files = wanted_files(folder, classes, wanted);
  Progress progress("pictures", static_cast<std::int64_t>(files.size()), true);
  const ReadingHooks hooks{[&](std::size_t) { progress.advance(); }, interrupted};
  cache_.emplace(files, size.height, size.width, kMaxCacheBytes, 0, hooks);
  for (const ImageFailure& failure : cache_->failures()) progress.note("skipped: " + failure.reason);
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (!cache_->readable(i)) continue;
    indices_.push_back(i);
    files_.push_back(files[i].string());
    labels_.push_back(label_of(files[i], folder, classes));
  }
}

Tensor FolderPictures::pixels(const Context& ctx, std::size_t first, std::size_t count) const {
  std::vector<std::uint8_t> pixels(count * cache_->image_bytes());
  for (std::size_t i = 0; i < count; ++i) {
    cache_->read(indices_.at(first + i), pixels.data() + i * cache_->image_bytes());
  }
  return Tensor::from(ctx, {static_cast<std::int64_t>(count), cache_->height(), cache_->width(), 3}, pixels);
}

}  // namespace pila
