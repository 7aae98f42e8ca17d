#include "apps/synth/belt.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "apps/core/for_each_index.h"
#include "apps/media/image_writer.h"
#include "apps/media/video_writer.h"
#include "apps/synth/belt_truth.h"
#include "apps/synth/cylinder.h"
#include "apps/synth/draw.h"
#include "apps/synth/folder.h"
#include "apps/synth/series.h"
#include "apps/synth/series_label.h"
#include "engine/core/error.h"

namespace fs = std::filesystem;

namespace pila::synth {
namespace {

enum : std::uint32_t { kFilmed = 300, kStill, kSensor, kStillSensor };

constexpr int kVideoSpecimens = 3;  // of each series; the stills' count on from there
constexpr const char* kVideo = "belt.avi";

void check(const BeltOptions& options) {
  expect_range("items", options.items, 1, 100'000);
  expect_range("series", options.series, 2, most_series(options.invented));
  expect_range("pixels for the width", options.width, 64, 4096);
  expect_range("pixels for the height", options.height, 64, 4096);
  expect_range("frames a second", options.fps, 1, 1000);
  expect_range("millimetres a second", options.belt_mm_per_s, 1, 5000);
  expect_range("stills of a class", options.stills, 0, 100'000);
  expect_range("stills of a specimen", options.stills_per_specimen, 1, 100'000);
}

BeltCamera camera_of(const BeltOptions& options) {
  return {options.width, options.height, options.belt_mm_per_s};
}

BeltPlan plan_of(const BeltOptions& options) {
  return {camera_of(options), options.level, options.items, options.series,
          kVideoSpecimens,    options.fps,   options.seed};
}

std::vector<Series> series_of(const BeltOptions& options) {
  std::vector<Series> all;
  for (int i = 0; i < options.series; ++i) {
    all.push_back(options.invented ? invented_series(i) : designed_series(i));
  }
  return all;
}

class BeltWriter {
 public:
  BeltWriter(const fs::path& folder, const BeltOptions& options, const std::function<bool()>& progress)
      : folder_(folder),
        options_(options),
        progress_(progress),
        series_(series_of(options)),
        conditions_(conditions_of(options.level)),
        camera_(camera_of(options)),
        scene_(camera_, conditions_, options.seed) {}

  void write_video();
  void write_stills();

 private:
  void advance() {
    if (!progress_()) throw Error("interrupted");
  }
  media::Image label(int series, int specimen) const {
    Random random(options_.seed, std::int64_t{series} << 32 | specimen, kFilmed);
    // Most are worn a little.
    const double wear = conditions_.wear * between(random, 0.2, 1) * between(random, 0.6, 1);
    return series_label(series_[static_cast<std::size_t>(series)], random, wear);
  }
  Sprite sprite(const BeltItem& item, media::Image label) const {
    const Cylinder cylinder(std::move(label), Battery::kLength, Battery::kDiameter, item.roll);
    return draw_sprite(cylinder, item.angle, item.size / camera_.mm_per_pixel(), conditions_.blur(camera_));
  }
  void write_specimen(int series, int specimen);
  void save_still(const fs::path& place, int number, std::span<const Placed> things, Random& random);

  const fs::path& folder_;
  const BeltOptions& options_;
  const std::function<bool()>& progress_;
  const std::vector<Series> series_;
  const Conditions conditions_;
  const BeltCamera camera_;
  const BeltScene scene_;
  std::mutex mutex_;
};

void BeltWriter::write_video() {
  const BeltPlan plan = plan_of(options_);
  const std::vector<BeltItem>& items = plan.items();
  const auto video = media::create_video(folder_ / kVideo, camera_.width, camera_.height, options_.fps);
  constexpr int kAtOnce = 24;  // frames that are drawn before they are written
  std::map<std::size_t, Sprite> sprites;
  for (int begin = 0; begin < plan.frames(); begin += kAtOnce) {
    const int end = std::min(begin + kAtOnce, plan.frames());
    // What is near at no frame of these is forgotten; what comes near is drawn.
    std::vector<std::size_t> missing;
    for (std::size_t i = 0; i < items.size(); ++i) {
      bool near = false;
      for (int frame = begin; frame < end && !near; ++frame) near = plan.near(items[i], plan.seconds(frame));
      if (!near) sprites.erase(i);
      if (near && sprites.try_emplace(i).second) missing.push_back(i);
    }
    for_each_index(missing.size(), options_.threads, [&](std::size_t index) {
      const BeltItem& item = items[missing[index]];
      sprites.at(missing[index]) = sprite(item, label(item.series, item.specimen));
    });

    std::vector<media::Image> images(static_cast<std::size_t>(end - begin));
    for_each_index(images.size(), options_.threads, [&](std::size_t index) {
      const int frame = begin + static_cast<int>(index);
      std::vector<Placed> things;
      for (const auto& [i, one] : sprites) {
        if (!plan.near(items[i], plan.seconds(frame))) continue;
        const Sight sight = plan.sight(items[i], plan.seconds(frame));
        things.push_back({&one, sight.x, sight.y});
      }
      images[index] = scene_.take(plan.seconds(frame), things, Random(options_.seed, frame, kSensor));
    });
    for (const media::Image& image : images) {
      video->write(image);
      advance();
    }
  }
  video->finish();
  std::vector<std::string> classes;
  for (const Series& one : series_) classes.push_back(one.name);
  write_truth(folder_ / "truth.json", {kVideo, name_of(options_.level), classes, options_.fps, options_.seed},
              plan);
}

void BeltWriter::write_stills() {
  const int each = options_.stills_per_specimen;
  const int specimens = (options_.stills + each - 1) / each;
  const int classes = options_.series + (options_.with_nothing ? 1 : 0);
  for_each_index(static_cast<std::size_t>(classes) * specimens, options_.threads, [&](std::size_t index) {
    write_specimen(static_cast<int>(index) / specimens, static_cast<int>(index) % specimens);
  });
}

// The series after the last one is the bare belt.
void BeltWriter::write_specimen(int series, int specimen) {
  const bool nothing = series == options_.series;
  const int number = kVideoSpecimens + specimen;
  const fs::path place = folder_ / "stills" /
                         (nothing ? "nothing" : series_[static_cast<std::size_t>(series)].name) /
                         (nothing ? numbered("belt-%02d", specimen + 1) : specimen_name(number));
  make_folder(place);
  const media::Image printed = nothing ? media::Image() : label(series, number);
  const int each = options_.stills_per_specimen;
  for (int i = specimen * each; i < std::min(options_.stills, (specimen + 1) * each); ++i) {
    Random random(options_.seed, std::int64_t{series} << 32 | i, kStill);
    if (nothing) {
      save_still(place, i + 1, {}, random);
      continue;
    }
    constexpr double kLeastInView = 0.7;
    const BeltItem item = lay_down(camera_, series, number, random);
    const Sprite drawn = sprite(item, printed);
    Placed thing{&drawn, 0, item.y_mm / camera_.mm_per_pixel()};
    do {
      thing.x = between(random, 0, camera_.width);
    } while (share_in_view(camera_, item, thing.x, thing.y) < kLeastInView);
    save_still(place, i + 1, {&thing, 1}, random);
  }
}

void BeltWriter::save_still(const fs::path& place, int number, std::span<const Placed> things,
                            Random& random) {
  constexpr double kRecorded = 600;  // seconds in which they were taken
  const double seconds = between(random, 0, kRecorded);
  const int quality = whole(random, 70, 95);
  const media::Image image = scene_.take(seconds, things, Random(options_.seed, random.next(), kStillSensor));
  media::save_jpeg(image, place / numbered("%04d.jpg", number), quality);
  const std::lock_guard lock(mutex_);
  advance();
}

}  // namespace

int most_series(bool invented) {
  constexpr int kMostInvented = 1000;
  return invented ? kMostInvented : designed_series_count();
}

const char* name_of(Level level) {
  return level == Level::easy ? "easy" : level == Level::normal ? "normal" : "hard";
}

std::int64_t belt_pictures(const BeltOptions& options) {
  check(options);
  const int classes = options.series + (options.with_nothing ? 1 : 0);
  return plan_of(options).frames() + std::int64_t{classes} * options.stills;
}

void write_belt(const fs::path& folder, const BeltOptions& options, const std::function<bool()>& progress) {
  check(options);
  make_empty_folder(folder);
  BeltWriter writer(folder, options, progress);
  writer.write_video();
  writer.write_stills();
}

}  // namespace pila::synth
