#include "layers/augmentation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <sstream>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/random.h"

namespace pila {
namespace {

constexpr double kWhite = 255;

constexpr Bounds kShare = {0, 1};
constexpr Bounds kZoom = {-1, 1, true, false};

constexpr AugmentationFlag kFlags[] = {
    {"flip_horizontal", &Augmentation::flip_horizontal},
    {"flip_vertical", &Augmentation::flip_vertical},
    {"flip_together", &Augmentation::flip_together},
};
constexpr AugmentationNumber kNumbers[] = {
    {"rotation", &Augmentation::rotation, kShare},
    {"translation_height", &Augmentation::translation_height, kShare},
    {"translation_width", &Augmentation::translation_width, kShare},
    {"hue", &Augmentation::hue, kShare},
    {"saturation", &Augmentation::saturation, kShare},
    {"contrast", &Augmentation::contrast, kShare},
    {"brightness", &Augmentation::brightness, kShare},
    {"erase_probability", &Augmentation::erase_probability, kShare},
    {"pixel_dropout", &Augmentation::pixel_dropout, {0, 1, false, true}},
    {"mixup", &Augmentation::mixup, {0, 10}},
};
constexpr AugmentationRange kRanges[] = {
    {"zoom", &Augmentation::zoom, kZoom},
    {"erase_area", &Augmentation::erase_area, {0, 1, true, false}},
    {"erase_aspect", &Augmentation::erase_aspect, {0.01, 100}},
};

bool within(const Bounds& bounds, double value) {
  return (bounds.open_low ? value > bounds.low : value >= bounds.low) &&
         (bounds.open_high ? value < bounds.high : value <= bounds.high);
}

std::string expected(const char* name, const Bounds& bounds, const std::string& order,
                     const std::string& got) {
  std::ostringstream text;
  text << "expected " << name << " in " << (bounds.open_low ? '(' : '[') << bounds.low << ", " << bounds.high
       << (bounds.open_high ? ')' : ']') << order << ", got " << got;
  return text.str();
}

std::string problem_of(const char* name, const Bounds& bounds, double value) {
  if (within(bounds, value)) return {};
  std::ostringstream got;
  got << value;
  return expected(name, bounds, "", got.str());
}

std::string problem_of(const char* name, const Bounds& bounds, const Range& range) {
  if (within(bounds, range.low) && within(bounds, range.high) && range.low <= range.high) return {};
  std::ostringstream got;
  got << range.low << " to " << range.high;
  return expected(name, bounds, ", the lower end first", got.str());
}

double uniform(Random& random, double low, double high) { return low + (high - low) * random.uniform(); }
double uniform(Random& random, const Range& range) { return uniform(random, range.low, range.high); }
double both_ways(Random& random, double limit) { return uniform(random, -limit, limit); }
bool coin(Random& random, double probability) { return random.uniform() < probability; }

PictureMovement draw_movement(Random& random, const Augmentation& augmentation) {
  PictureMovement movement;
  const bool first_coin = coin(random, 0.5), second_coin = coin(random, 0.5);
  movement.mirrored = augmentation.flip_horizontal && first_coin;
  movement.upside_down =
      augmentation.flip_vertical && (augmentation.flip_together ? first_coin : second_coin);
  movement.turn = both_ways(random, augmentation.rotation);
  movement.height_zoom = 1 + uniform(random, augmentation.zoom);
  const double own_width_zoom = 1 + uniform(random, augmentation.zoom_width.value_or(Range{}));
  movement.width_zoom = augmentation.zoom_width ? own_width_zoom : movement.height_zoom;
  movement.down = both_ways(random, augmentation.translation_height);
  movement.right = both_ways(random, augmentation.translation_width);
  return movement;
}

void draw_colour(Random& random, const Augmentation& augmentation, AugmentPicture& picture) {
  picture.hue = static_cast<float>(both_ways(random, augmentation.hue) / 2);
  picture.saturation = static_cast<float>(1 + both_ways(random, augmentation.saturation));
  picture.contrast = static_cast<float>(1 + both_ways(random, augmentation.contrast));
  picture.brightness = static_cast<float>(kWhite * both_ways(random, augmentation.brightness));
}

// A rectangle of the area and, as far as it fits, of the proportions drawn.
void draw_erasing(Random& random, const Augmentation& augmentation, PictureSize size,
                  AugmentPicture& picture) {
  const bool erased = coin(random, augmentation.erase_probability);
  const auto height = static_cast<double>(size.height), width = static_cast<double>(size.width);
  const double area = height * width * uniform(random, augmentation.erase_area);
  const auto& [narrowest, widest] = augmentation.erase_aspect;
  const double aspect = std::exp(uniform(random, std::log(narrowest), std::log(widest)));
  const double columns = std::clamp(std::sqrt(area * aspect), area / height, width);
  const double top = random.uniform(), left = random.uniform();
  const auto right_side = std::max<std::int64_t>(1, std::llround(columns));
  const auto lower_side = std::max<std::int64_t>(1, std::llround(area / columns));
  const auto place = [](double share, std::int64_t room) {
    return static_cast<std::int32_t>(share * static_cast<double>(room + 1));
  };
  for (float& channel : picture.erase_colour) channel = static_cast<float>(kWhite * random.uniform());
  if (!erased) return;
  picture.erase_top = place(top, size.height - lower_side);
  picture.erase_left = place(left, size.width - right_side);
  picture.erase_bottom = picture.erase_top + static_cast<std::int32_t>(lower_side);
  picture.erase_right = picture.erase_left + static_cast<std::int32_t>(right_side);
}

// Everything is drawn whether it is switched on or not, so that switching one thing on changes no other.
AugmentPicture draw_picture(Random random, const Augmentation& augmentation, PictureSize from,
                            PictureSize to) {
  AugmentPicture picture;
  for (std::uint32_t& word : picture.key) word = random.next();
  const std::array<float, 6> warp = warp_of(draw_movement(random, augmentation), from, to);
  std::copy(warp.begin(), warp.end(), picture.warp);
  draw_colour(random, augmentation, picture);
  draw_erasing(random, augmentation, to, picture);
  return picture;
}

// A seed of augmentation's own: with it every picture has a place to itself, beside those of dropouts.
enum class Use : std::uint32_t { pictures = 0xA0610001u, mixup = 0xA0610002u };

std::uint64_t seed_for(Use use, std::uint64_t seed) {
  Random random(seed, 0, static_cast<std::uint32_t>(use));
  const std::uint64_t low = random.next(), high = random.next();
  return low | high << 32;
}

// The logarithm of a draw from the gamma distribution (Marsaglia and Tsang, "A simple method for generating
// gamma variables", 2000), which stays finite where the draw itself is too small for a number.
double log_gamma_draw(Random& random, double shape) {
  const double d = shape + 1 - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  const auto positive_uniform = [&] { return (random.next() + 1.0) / 4294967296.0; };
  for (;;) {
    const double x = random.normal(), v = 1 + c * x;
    if (v <= 0) continue;
    const double log_cube = 3 * std::log(v);
    if (std::log(positive_uniform()) < 0.5 * x * x + d * (1 - v * v * v + log_cube)) {
      return std::log(d) + log_cube + std::log(positive_uniform()) / shape;
    }
  }
}

void check(const Augmentation& augmentation) {
  if (const std::string problem = problem_of(augmentation); !problem.empty()) {
    throw UsageError("[augment] " + problem);
  }
}

}  // namespace

std::span<const AugmentationFlag> augmentation_flags() { return kFlags; }
std::span<const AugmentationNumber> augmentation_numbers() { return kNumbers; }
std::span<const AugmentationRange> augmentation_ranges() { return kRanges; }

std::string problem_of(const Augmentation& augmentation) {
  for (const AugmentationNumber& number : kNumbers) {
    const std::string problem = problem_of(number.name, number.bounds, augmentation.*number.member);
    if (!problem.empty()) return problem;
  }
  for (const AugmentationRange& range : kRanges) {
    const std::string problem = problem_of(range.name, range.bounds, augmentation.*range.member);
    if (!problem.empty()) return problem;
  }
  return augmentation.zoom_width ? problem_of("zoom_width", kZoom, *augmentation.zoom_width) : "";
}

std::vector<AugmentPicture> draw_pictures(const Augmentation& augmentation, PictureSize from, PictureSize to,
                                          std::uint64_t seed, std::int64_t step, std::int64_t first,
                                          std::int64_t count) {
  check(augmentation);
  constexpr std::int64_t kMostPictures = std::int64_t{1} << 32;
  if (first < 0 || first > kMostPictures - count) {
    throw ShapeError("[augment] expected pictures among the first 2^32 of a step, got " +
                     std::to_string(count) + " from " + std::to_string(first) + " on");
  }
  const std::uint64_t own_seed = seed_for(Use::pictures, seed);
  std::vector<AugmentPicture> pictures;
  for (std::int64_t i = first; i < first + count; ++i) {
    const Random random(own_seed, step, static_cast<std::uint32_t>(i));
    pictures.push_back(draw_picture(random, augmentation, from, to));
  }
  return pictures;
}

Tensor augment(const Context& ctx, const Tensor& images, const Augmentation& augmentation,
               const Preprocessing& preprocessing, std::uint64_t seed, std::int64_t step,
               std::int64_t first) {
  const Shape& shape = images.shape();
  if (shape.rank() != 4 || shape[1] < 1 || shape[2] < 1 || preprocessing.height < 1 ||
      preprocessing.width < 1) {
    throw ShapeError("[augment] expected images uint8[n, h, w, 3] for at least 1 x 1 pixels, got " +
                     images.spec().to_string() + " for " + std::to_string(preprocessing.height) + " x " +
                     std::to_string(preprocessing.width));
  }
  ops::AugmentOptions options;
  options.height = preprocessing.height;
  options.width = preprocessing.width;
  options.fill = augmentation.fill;
  options.dropout = static_cast<float>(augmentation.pixel_dropout);
  std::copy(preprocessing.scale.begin(), preprocessing.scale.end(), options.scale);
  std::copy(preprocessing.offset.begin(), preprocessing.offset.end(), options.offset);

  const auto pictures = draw_pictures(augmentation, {shape[1], shape[2]}, {options.height, options.width},
                                      seed, step, first, shape[0]);
  return ops::augment(ctx, images, pictures, options);
}

Mixup draw_mixup(const Augmentation& augmentation, std::uint64_t seed, std::int64_t step) {
  check(augmentation);
  if (augmentation.mixup == 0) return {};
  constexpr double kSmallest = 1e-9;  // a coin, as far as numbers can tell
  const double shape = std::max(augmentation.mixup, kSmallest);
  Random random(seed_for(Use::mixup, seed), step);
  const double first = log_gamma_draw(random, shape), second = log_gamma_draw(random, shape);
  return {static_cast<float>(1 / (1 + std::exp(second - first)))};
}

}  // namespace pila
