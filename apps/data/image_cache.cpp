#include "apps/data/image_cache.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <mutex>
#include <utility>

#include "apps/core/for_each_index.h"
#include "apps/media/image.h"
#include "apps/media/image_header.h"
#include "engine/core/context.h"
#include "engine/core/error.h"
#include "engine/core/tensor.h"
#include "engine/ops/ops.h"
#include "weights/md5.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

std::string md5_of(std::span<const std::byte> bytes) {
  Md5 md5;
  md5.add(bytes);
  return md5.finish();
}

// The resize of preprocess(), rounded to nearest even.
std::vector<std::uint8_t> stretch(media::Image image, std::int64_t height, std::int64_t width) {
  if (image.height == height && image.width == width) return std::move(image.pixels);
  const Context ctx(Device::cpu(1));
  const Tensor pixels = Tensor::from(ctx, {1, image.height, image.width, 3}, image.pixels);
  return ops::cast(ctx, ops::resize_bilinear(ctx, pixels, height, width), DType::u8)
      .to_vector<std::uint8_t>(ctx);
}

}  // namespace

ImageCache::ImageCache(std::vector<fs::path> files, std::int64_t height, std::int64_t width,
                       std::size_t max_bytes, int threads, const ReadingHooks& hooks)
    : files_(std::move(files)), height_(height), width_(width), infos_(files_.size()) {
  constexpr std::int64_t kMaxSide = 1 << 14;
  if (height < 1 || width < 1 || height > kMaxSide || width > kMaxSide) {
    throw UsageError("[image cache] an image size of 1 to " + std::to_string(kMaxSide) +
                     " is expected, got " + std::to_string(height) + " x " + std::to_string(width));
  }
  kept_ = std::min(files_.size(), max_bytes / image_bytes());
  pixels_.reset(new std::uint8_t[kept_ * image_bytes()]);
  load_all(threads, hooks);
}

void ImageCache::load_all(int threads, const ReadingHooks& hooks) {
  std::mutex mutex;
  std::size_t done = 0;
  for_each_index(files_.size(), threads, [&](std::size_t i) {
    if (hooks.stop && hooks.stop()) throw Error("interrupted while reading the images");
    std::string failure;
    try {
      load(i);
    } catch (const FileError& error) {
      failure = error.what();
    }
    const std::lock_guard lock(mutex);
    if (!failure.empty()) failures_.push_back({i, std::move(failure)});
    if (hooks.progress) hooks.progress(++done);
  });
  std::sort(failures_.begin(), failures_.end(),
            [](const ImageFailure& a, const ImageFailure& b) { return a.index < b.index; });
}

void ImageCache::load(std::size_t index) {
  const fs::path& file = files_[index];
  ImageInfo& info = infos_[index];
  const std::vector<std::uint8_t> bytes = media::read_image_file(file);
  info.digest = md5_of(std::as_bytes(std::span(bytes)));
  info.format = media::name_of(media::sniff_format(bytes));
  media::Image image = media::decode_image_file(file, bytes);
  info.width = image.width;
  info.height = image.height;
  info.warning = image.warning;
  info.hash = perceptual_hash(image);
  if (index >= kept_) return;
  const std::vector<std::uint8_t> stretched = stretch(std::move(image), height_, width_);
  std::memcpy(pixels_.get() + index * image_bytes(), stretched.data(), stretched.size());
}

bool ImageCache::readable(std::size_t index) const { return infos_.at(index).width > 0; }

void ImageCache::read(std::size_t index, std::uint8_t* pixels) const {
  if (!readable(index)) {
    throw UsageError("[image cache] a readable image is expected, got " + files_[index].string());
  }
  if (index < kept_) {
    std::memcpy(pixels, pixels_.get() + index * image_bytes(), image_bytes());
    return;
  }
  const std::vector<std::uint8_t> bytes = media::read_image_file(files_[index]);
  if (md5_of(std::as_bytes(std::span(bytes))) != infos_[index].digest) {
    throw FileError(files_[index].string() + ": has changed since it was first read");
  }
  const auto stretched = stretch(media::decode_image_file(files_[index], bytes), height_, width_);
  std::memcpy(pixels, stretched.data(), stretched.size());
}

std::string data_fingerprint(const ImageCache& cache, std::span<const std::int32_t> labels) {
  if (labels.size() != cache.files().size()) {
    throw UsageError("[data fingerprint] a label for each of " + std::to_string(cache.files().size()) +
                     " images is expected, got " + std::to_string(labels.size()));
  }
  std::string text;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    text += std::to_string(labels[i]) + " " + cache.info(i).digest + "\n";
  }
  return md5_of(std::as_bytes(std::span(text)));
}

}  // namespace pila
