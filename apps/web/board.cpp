#include "apps/web/board.h"

#include <algorithm>
#include <cstring>

#include "apps/media/image_writer.h"
#include "apps/media/resize.h"

namespace pila {
namespace {

constexpr std::int64_t kThumbnail = 160;

double unix_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Every so many pixels of every so many rows, twice a thumbnail's size or more: cheap enough for the thread
// that brings items.
std::shared_ptr<const media::Image> sampled(const media::Image& image) {
  const std::int64_t step = std::max<std::int64_t>(1, std::max(image.width, image.height) / (2 * kThumbnail));
  auto result = std::make_shared<media::Image>();
  result->width = image.width / step;
  result->height = image.height / step;
  result->pixels.resize(static_cast<std::size_t>(result->width * result->height * 3));
  std::uint8_t* to = result->pixels.data();
  for (std::int64_t y = 0; y < result->height; ++y) {
    const std::uint8_t* from = image.pixels.data() + y * step * image.width * 3;
    for (std::int64_t x = 0; x < result->width; ++x, from += step * 3, to += 3) std::memcpy(to, from, 3);
  }
  return result;
}

}  // namespace

void Board::frame(const FrameReport& report) {
  const auto best = std::max_element(report.probabilities.begin(), report.probabilities.end());
  const bool any = best != report.probabilities.end();
  const auto now = static_cast<std::int64_t>(unix_time());
  const std::lock_guard lock(mutex_);
  if (sums_.frames > 0)
    sums_.dropped += std::max<std::int64_t>(0, report.frame.index - sums_.frame.index - 1);
  ++sums_.frames;
  sums_.frame = {.index = report.frame.index,
                 .seconds = report.frame.seconds,
                 .something = report.presence.something,
                 .recognised = report.recognised,
                 .label = any ? static_cast<std::size_t>(best - report.probabilities.begin()) : 0,
                 .probability = any ? *best : 0};
  times_.add(report.times, now);
}

void Board::item(const ItemReport& report) {
  const Item& item = report.item;
  Seen seen{.serial = 0,
            .number = item.number,
            .time = unix_time(),
            .label = report.label,
            .bin = report.bin,
            .probability = item.label < item.probabilities.size() ? item.probabilities[item.label] : 0,
            .frames = item.frames,
            .recognised = item.recognised,
            .missed = report.missed,
            .picture = sampled(item.picture)};
  const std::lock_guard lock(mutex_);
  seen.serial = ++sums_.items;
  if (report.missed) ++sums_.missed;
  ++sums_.by_class[report.label];
  ++sums_.by_bin[report.bin];
  items_.push_front(std::move(seen));
  if (items_.size() > kItems) items_.pop_back();
}

void Board::alarm(const std::string& line) {
  const std::lock_guard lock(mutex_);
  ++sums_.alarms;
  alarms_.push_front({unix_time(), line});
  if (alarms_.size() > kAlarms) alarms_.pop_back();
}

void Board::set_classes(std::vector<std::string> classes) {
  const std::lock_guard lock(mutex_);
  sums_.classes = std::move(classes);
}

void Board::end() {
  const std::lock_guard lock(mutex_);
  sums_.ended = true;
}

std::vector<std::string> Board::classes() const {
  const std::lock_guard lock(mutex_);
  return sums_.classes;
}

std::string Board::thumbnail(std::int64_t serial) const {
  std::shared_ptr<const media::Image> picture;
  {
    const std::lock_guard lock(mutex_);
    const auto found =
        std::find_if(items_.begin(), items_.end(), [&](const Seen& seen) { return seen.serial == serial; });
    if (found != items_.end()) picture = found->picture;
  }
  if (!picture || picture->pixels.empty()) return {};
  const auto jpeg = media::encode_jpeg(media::scaled_down(*picture, kThumbnail, kThumbnail), 85);
  return {jpeg.begin(), jpeg.end()};
}

Board::Summary Board::summary(std::size_t items) const {
  const std::lock_guard lock(mutex_);
  Summary summary = sums_;
  const auto count = static_cast<std::ptrdiff_t>(std::min(items, items_.size()));
  summary.latest.assign(items_.begin(), items_.begin() + count);
  summary.latest_alarms.assign(alarms_.begin(), alarms_.end());
  return summary;
}

RecentTimes Board::times() const {
  const std::lock_guard lock(mutex_);
  return times_;
}

}  // namespace pila
