// A belt with things on it, drawn picture by picture, with what there is to be found.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "apps/capture/frame.h"
#include "apps/items/item.h"

namespace pila::test {

struct FilmOptions {
  std::uint64_t seed = 0;
  int width = 240, height = 136;
  int frames = 120;
  double frames_in_view = 8;  // of an item as long as the mean, from rim to rim
  bool vertical = false, backwards = false;
  double shortest = 0.15, longest = 0.3;    // items, in pictures along the belt
  double least_gap = 0.06, most_gap = 0.6;  // between them
  double empty_start = 0;                   // pictures of empty belt ahead of the first item
  double belt_texture = 12, noise = 8;      // levels
  double light_drift = 0;                   // share that the light gains until the end
  double dropped = 0;                       // share of frames that are missing
  double jitter = 0;                        // of the times, in frame intervals
  bool grey = false;                        // items all alike, without colour
  double middle = 1;           // below 1, the middle half of every item is the plain belt in so much light
  double shadow = 1;           // light on a strip of belt behind every item
  double shadow_width = 0.03;  // pictures
  double fps = 30;
};

class BeltFilm {
 public:
  struct Thing {
    double begin = 0, end = 0;  // pixels of the belt; the first pixel of the picture is at position() there
    double low = 0, high = 0;   // pixels across
    std::array<double, 3> colour{}, other{};
    double stripe = 8;
    std::size_t label = 0;
    double passed = 0;  // seconds, its middle at the middle of the picture
  };

  explicit BeltFilm(const FilmOptions& options);

  // False after the last frame.
  bool next(Frame& frame, Sighting& sighting);

  // Those that are seen in some frame, in the order in which they pass.
  const std::vector<Thing>& things() const { return things_; }
  double speed() const { return speed_; }  // pixels a second
  static constexpr std::size_t kClasses = 3;

 private:
  double length() const { return options_.vertical ? options_.height : options_.width; }
  double position(double seconds) const { return start_ + speed_ * seconds; }
  double visible(const Thing& thing, double seconds) const;
  void draw(double seconds, double light, media::Image& image);

  FilmOptions options_;
  std::mt19937_64 random_;
  double speed_ = 0, start_ = 0;
  std::vector<double> times_;  // of the frames that are shown
  std::vector<std::int64_t> indices_;
  std::vector<Thing> things_;
  std::vector<std::int8_t> texture_;
  std::size_t at_ = 0;
};

}  // namespace pila::test
