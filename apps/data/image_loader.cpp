#include "apps/data/image_loader.h"

#include <exception>
#include <utility>

#include "apps/core/stopwatch.h"
#include "apps/media/image.h"

namespace pila {

ImageLoader::ImageLoader(std::vector<std::filesystem::path> files, const Preprocessing& preprocessing,
                         std::int64_t max_pixels, std::size_t ahead)
    : files_(std::move(files)),
      preprocessing_(preprocessing),
      max_pixels_(max_pixels),
      ahead_(ahead),
      // One thread of its own, so that the network's threads are not taken away from it.
      ctx_(Device::cpu(1)),
      thread_([this] { work(); }) {}

ImageLoader::~ImageLoader() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

bool ImageLoader::next(LoadedImage& image) {
  std::unique_lock lock(mutex_);
  if (handed_out_ == files_.size()) return false;
  changed_.wait(lock, [&] { return !waiting_.empty(); });
  image = std::move(waiting_.front());
  waiting_.pop_front();
  ++handed_out_;
  changed_.notify_all();
  return true;
}

void ImageLoader::work() {
  for (std::size_t i = 0; i < files_.size(); ++i) {
    LoadedImage image = load(static_cast<std::int64_t>(i));
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stopped_ || waiting_.size() < ahead_; });
    if (stopped_) return;
    waiting_.push_back(std::move(image));
    changed_.notify_all();
  }
}

LoadedImage ImageLoader::load(std::int64_t index) const {
  LoadedImage loaded{.index = index, .pixels = {}, .error = {}, .warning = {}};
  try {
    Stopwatch watch;
    const auto image = media::load_image(files_[static_cast<std::size_t>(index)], max_pixels_);
    loaded.decode_ms = watch.lap_ms();
    const auto pixels = Tensor::from(ctx_, {1, image.height, image.width, 3}, image.pixels);
    loaded.pixels = preprocess(ctx_, pixels, preprocessing_).to_vector<float>(ctx_);
    loaded.preprocess_ms = watch.lap_ms();
    loaded.warning = image.warning;
  } catch (const std::exception& error) {
    loaded.error = error.what();
  }
  return loaded;
}

}  // namespace pila
