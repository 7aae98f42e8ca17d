#include "apps/training/pictures.h"

#include <algorithm>
#include <cmath>

#include "apps/media/contact_sheet.h"
#include "apps/media/image_writer.h"

namespace pila {
namespace {

constexpr std::size_t kMaxClasses = 12;
constexpr int kVersions = 5, kTileSize = 160;

// The first image of each class.
std::vector<std::size_t> one_of_each(const DataSet& data, std::span<const std::size_t> images) {
  std::vector<std::size_t> chosen;
  for (std::size_t c = 0; c < std::min(data.classes.size(), kMaxClasses); ++c) {
    const auto found = std::ranges::find_if(
        images, [&](std::size_t i) { return data.labels[i] == static_cast<std::int32_t>(c); });
    if (found != images.end()) chosen.push_back(*found);
  }
  return chosen;
}

// Back from the network's input to pixels.
media::Image picture_of(std::span<const float> input, const Preprocessing& preprocessing) {
  media::Image image;
  image.width = preprocessing.width;
  image.height = preprocessing.height;
  for (std::size_t i = 0; i < input.size(); ++i) {
    const float value = (input[i] - preprocessing.offset[i % 3]) / preprocessing.scale[i % 3];
    image.pixels.push_back(static_cast<std::uint8_t>(std::lround(std::clamp(value, 0.0f, 255.0f))));
  }
  return image;
}

}  // namespace

void write_augmented_samples(const std::filesystem::path& file, const Context& ctx, const DataSet& data,
                             std::span<const std::size_t> images, const Augmentation& augmentation,
                             const Preprocessing& preprocessing, std::uint64_t seed) {
  const ImageCache& cache = *data.cache;
  std::vector<media::Tile> tiles;
  for (const std::size_t index : one_of_each(data, images)) {
    media::Image original;
    original.width = cache.width();
    original.height = cache.height();
    original.pixels.resize(cache.image_bytes());
    cache.read(index, original.pixels.data());
    const Tensor pixels = Tensor::from(ctx, {1, cache.height(), cache.width(), 3}, original.pixels);
    tiles.push_back({original, data.classes[static_cast<std::size_t>(data.labels[index])], {}});
    for (int version = 1; version <= kVersions; ++version) {
      const Tensor augmented =
          augment(ctx, pixels, augmentation, preprocessing, seed, version, static_cast<std::int64_t>(index));
      tiles.push_back({picture_of(augmented.to_vector<float>(ctx), preprocessing), "as trained on", {}});
    }
  }
  media::save_png(media::contact_sheet(tiles, kVersions + 1, kTileSize), file);
}

}  // namespace pila
