#include "apps/live/picture_sinks.h"

#include <fmt/format.h>

#include <exception>
#include <utility>

#include "apps/core/verdict.h"
#include "apps/media/overlay.h"

namespace pila {
namespace {

constexpr media::Color kSure = {64, 190, 96}, kUnsure = {240, 150, 40}, kNothing = {150, 156, 164};
constexpr double kUsualRate = 30;          // where the source's is not known
constexpr std::size_t kWaitingFrames = 8;  // frames that wait for the encoder

std::string answer_of(const FrameReport& report) {
  const std::size_t best = top_classes(report.probabilities, 1).at(0);
  return fmt::format("{} {:.0f}%, {:.1f} s", report.recognised ? report.classes[best] : kOthers,
                     report.probabilities[best] * 100, report.frame.seconds);
}

// Short enough for a picture.
std::string verdict_of(const ItemReport& report) {
  const Item& item = report.item;
  std::string text =
      fmt::format("item {}: {} {:.0f}%", item.number, report.label, item.probabilities[item.label] * 100);
  return report.bin.empty() ? text : text + ", to " + report.bin;
}

}  // namespace

media::Image annotated(const FrameReport& report, const std::string& latest_verdict) {
  media::Image image = report.frame.image;
  const Presence& seen = report.presence;
  const media::Color& color = !seen.something ? kNothing : report.recognised ? kSure : kUnsure;
  const auto width = static_cast<double>(image.width), height = static_cast<double>(image.height);
  if (seen.something && seen.right > seen.left && seen.bottom > seen.top) {
    media::draw_box(image,
                    {seen.left * width, seen.top * height, (seen.right - seen.left) * width,
                     (seen.bottom - seen.top) * height},
                    color);
  }
  media::draw_band(image, media::Band::top, seen.something ? answer_of(report) : "nothing there", color);
  if (!latest_verdict.empty()) media::draw_band(image, media::Band::bottom, latest_verdict, kSure);
  return image;
}

VideoSink::VideoSink(std::filesystem::path file, double fps, bool live, Alarms& alarms)
    : file_(std::move(file)),
      fps_(fps > 0 ? fps : kUsualRate),
      live_(live),
      alarms_(alarms),
      worker_(kWaitingFrames) {}

// The first frame says how large the video is; that the file cannot be made is then told at once.
void VideoSink::frame(const FrameReport& report) {
  media::Image image = annotated(report, latest_verdict_);
  if (!writer_) writer_ = media::create_video(file_, image.width, image.height, fps_);
  auto job = [this, image = std::move(image)] { write(image); };
  if (live_) {
    worker_.try_push(std::move(job));
  } else {
    worker_.push(std::move(job));
  }
}

void VideoSink::item(const ItemReport& report) { latest_verdict_ = verdict_of(report); }

void VideoSink::write(const media::Image& image) {
  if (failed_) return;
  try {
    writer_->write(image);
  } catch (const std::exception& error) {
    failed_ = true;
    alarms_.raise(file_.string(), std::string(error.what()) + "; the video ends here");
  }
}

void VideoSink::finish() {
  worker_.drain();
  if (writer_) writer_->finish();
}

WindowSink::WindowSink(const std::string& title, std::function<void()> closed)
    : window_(title), closed_(std::move(closed)) {}

void WindowSink::frame(const FrameReport& report) {
  if (!window_.show(annotated(report, latest_verdict_))) closed_();
}

void WindowSink::item(const ItemReport& report) { latest_verdict_ = verdict_of(report); }

}  // namespace pila
