#include "apps/web/live_picture.h"

#include "apps/media/image_writer.h"
#include "apps/media/resize.h"

namespace pila {
namespace {

constexpr std::int64_t kWidth = 960, kHeight = 960;
constexpr int kQuality = 80;

}  // namespace

void LivePicture::offer(const media::Image& image) {
  constexpr auto kInterval = std::chrono::milliseconds(66);
  const auto now = Clock::now();
  {
    const std::lock_guard lock(mutex_);
    if (now >= wanted_until_ || (image_ && now < taken_ + kInterval)) return;
  }
  auto copy = std::make_shared<const media::Image>(image);
  {
    const std::lock_guard lock(mutex_);
    image_.swap(copy);
    ++number_;
    taken_ = now;
  }
  changed_.notify_all();
}

LivePicture::Jpeg LivePicture::next(std::int64_t seen, std::chrono::milliseconds patience) {
  constexpr auto kInterest = std::chrono::seconds(3);
  std::shared_ptr<const media::Image> image;
  std::int64_t number = 0;
  {
    std::unique_lock lock(mutex_);
    wanted_until_ = Clock::now() + patience + kInterest;
    changed_.wait_for(lock, patience, [&] { return stopped_ || number_ > seen; });
    if (stopped_ || number_ <= seen) return {};
    image = image_;
    number = number_;
  }
  const std::lock_guard lock(encoding_);
  if (encoded_.number < number) {
    const auto bytes = media::encode_jpeg(media::scaled_down(*image, kWidth, kHeight), kQuality);
    encoded_ = {number, std::make_shared<const std::string>(bytes.begin(), bytes.end())};
  }
  return encoded_;
}

void LivePicture::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
}

bool LivePicture::stopped() const {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

}  // namespace pila
