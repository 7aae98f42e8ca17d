#include "tests/apps/items/belt_film.h"

#include <algorithm>
#include <cmath>

namespace pila::test {
namespace {

constexpr int kTextureSide = 256;
constexpr std::array<double, 3> kBelt = {78, 84, 90};

}  // namespace

BeltFilm::BeltFilm(const FilmOptions& options) : options_(options), random_(options.seed) {
  const auto uniform = [&](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random_);
  };
  const double side = length(), across = options.vertical ? options.width : options.height;
  const double mean_length = (options.shortest + options.longest) / 2 * side;
  speed_ = (side + mean_length) / options.frames_in_view * options.fps;
  double time = 0;
  for (int i = 0; i < options.frames; ++i, time += 1 / options.fps) {
    if (uniform(0, 1) < options.dropped) continue;
    times_.push_back(time + options.jitter / options.fps * uniform(-0.5, 0.5));
    indices_.push_back(i);
  }
  // The belt's places count against its movement, so that later things have larger ones.
  const double last = speed_ * time + 2 * side;
  for (double place = -side * (1 - uniform(0, 0.4)) + options.empty_start * side; place < last;) {
    Thing thing;
    thing.begin = place;
    thing.end = place + side * uniform(options.shortest, options.longest);
    const double width = across * uniform(0.3, 0.6);
    thing.low = uniform(0.05 * across, 0.95 * across - width);
    thing.high = thing.low + width;
    for (int i = 0; i < 3; ++i) {
      thing.colour[i] = options.grey ? 200 : uniform(120, 250);
      thing.other[i] = options.grey ? 160 : uniform(0, 250);
    }
    thing.stripe = uniform(4, 15);
    thing.label = static_cast<std::size_t>(uniform(0, kClasses - 0.001));
    // When the picture's middle has come to the thing's: see position().
    thing.passed = ((thing.begin + thing.end) / 2 + side / 2) / speed_;
    place = thing.end + side * uniform(options.least_gap, options.most_gap);
    // No slivers, of which nobody could say whether they are to be seen.
    double most = 0;
    for (const double when : times_) most = std::max(most, visible(thing, when));
    if (most > 0.05 * side) things_.push_back(thing);
  }
  texture_.resize(kTextureSide * kTextureSide);
  for (auto& value : texture_) {
    value = static_cast<std::int8_t>(std::lround(uniform(-options.belt_texture, options.belt_texture)));
  }
}

// Pixels of it. At time 0, places from -length to 0 are in the picture, and those nearer to 0 at the entry.
double BeltFilm::visible(const Thing& thing, double seconds) const {
  const double entry = speed_ * seconds, exit = entry - length();
  return std::max(0.0, std::min(entry, thing.end) - std::max(exit, thing.begin));
}

void BeltFilm::draw(double seconds, double light, media::Image& image) {
  image.width = options_.width;
  image.height = options_.height;
  image.pixels.resize(static_cast<std::size_t>(3 * image.width * image.height));
  const double entry = speed_ * seconds;
  std::uint64_t state = random_();
  std::uint8_t* pixel = image.pixels.data();
  struct Place {
    const Thing* thing = nullptr;  // or of its shadow
    double belt = 0;
    std::size_t texture = 0;
    double along = 0;  // the thing: from 0 to 1, and more in the shadow
  };
  const double shadow = options_.shadow < 1 ? options_.shadow_width * length() : 0;
  std::vector<Place> places(static_cast<std::size_t>(length()));
  for (std::size_t i = 0; i < places.size(); ++i) {
    const double from_entry =
        options_.backwards ? length() - 1 - static_cast<double>(i) : static_cast<double>(i);
    const double belt = entry - from_entry - 0.5;
    const auto holds = [&](const Thing& thing) { return belt >= thing.begin && belt < thing.end + shadow; };
    const auto thing = std::find_if(things_.begin(), things_.end(), holds);
    places[i] = {
        thing == things_.end() ? nullptr : &*thing, belt,
        static_cast<std::size_t>(static_cast<std::int64_t>(std::floor(belt / 2)) & (kTextureSide - 1)),
        thing == things_.end() ? 0 : (belt - thing->begin) / (thing->end - thing->begin)};
  }
  for (int y = 0; y < options_.height; ++y) {
    for (int x = 0; x < options_.width; ++x, pixel += 3) {
      const int across = options_.vertical ? x : y;
      const auto& [thing, belt, texel, along] = places[static_cast<std::size_t>(options_.vertical ? y : x)];
      const double texture =
          texture_[static_cast<std::size_t>(across / 2 % kTextureSide * kTextureSide) + texel];
      const bool within = thing != nullptr && across >= thing->low && across < thing->high;
      const bool shaded = within && along >= 1;
      const bool dark = within && options_.middle < 1 && std::abs(along - 0.5) < 0.25;
      const bool covered = within && !shaded && !dark;
      const bool other =
          covered && std::fmod(belt - thing->begin + 0.6 * across, 2 * thing->stripe) < thing->stripe;
      for (int i = 0; i < 3; ++i) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        const double noise = (static_cast<double>(state >> 40) / (1 << 24) - 0.5) * 2 * options_.noise;
        const double belt_value = dark     ? options_.middle * kBelt[i]
                                  : shaded ? options_.shadow * (kBelt[i] + texture)
                                           : kBelt[i] + texture;
        const double value = other ? thing->other[i] : covered ? thing->colour[i] : belt_value;
        pixel[i] = static_cast<std::uint8_t>(std::clamp(value * light + noise, 0.0, 255.0));
      }
    }
  }
}

bool BeltFilm::next(Frame& frame, Sighting& sighting) {
  if (at_ == times_.size()) return false;
  const double seconds = times_[at_];
  frame.seconds = seconds;
  frame.index = indices_[at_];
  const double share =
      static_cast<double>(at_) / static_cast<double>(std::max<std::size_t>(1, times_.size() - 1));
  draw(seconds, 1 + options_.light_drift * share, frame.image);
  // The network says what covers most of the picture, the surer the more.
  std::vector<double> logits(kClasses);
  for (const Thing& thing : things_) logits[thing.label] += 8 * visible(thing, seconds) / length();
  double sum = 0;
  for (double& logit : logits) {
    logit += std::uniform_real_distribution<double>(-0.2, 0.2)(random_);
    sum += std::exp(logit);
  }
  sighting.log_probabilities.clear();
  for (const double logit : logits) {
    sighting.log_probabilities.push_back(static_cast<float>(logit - std::log(sum)));
  }
  sighting.familiarity = 1;
  ++at_;
  return true;
}

}  // namespace pila::test
