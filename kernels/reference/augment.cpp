#include "kernels/args/augment.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "kernels/random.h"
#include "kernels/reference/families.h"

namespace pila::kernels::reference {
namespace {

using Colour = std::array<double, 3>;

constexpr double kWhite = 255;

double clip(double value) { return std::clamp(value, 0.0, kWhite); }

// Where a position along an axis lies: between which two pixels (-1: beyond the edge, where all is black),
// and how far on the way to the second.
struct PixelsAround {
  std::int64_t first, second;
  double fraction;
};

PixelsAround pixels_around(double position, std::int64_t size, FillMode fill) {
  const auto extent = static_cast<double>(size);
  if (fill == FillMode::reflect) {
    position = std::fmod(position, 2 * extent);  // the picture and its mirror image repeat themselves
  } else {
    position = std::clamp(position, -1.0, extent);
  }
  const double below = std::floor(position);
  const auto pixel = [&](std::int64_t i) -> std::int64_t {
    switch (fill) {
      case FillMode::reflect:
        i = (i + 2 * size) % (2 * size);  // from -2 * size on
        return i < size ? i : 2 * size - 1 - i;
      case FillMode::constant:
        return i >= 0 && i < size ? i : -1;
      case FillMode::nearest:
        return std::clamp<std::int64_t>(i, 0, size - 1);
    }
    return -1;
  };
  const auto first = static_cast<std::int64_t>(below);
  return {pixel(first), pixel(first + 1), position - below};
}

Colour interpolate(const Augment& args, const std::uint8_t* x, double column, double row) {
  const PixelsAround columns = pixels_around(column, args.in_w, args.fill);
  const PixelsAround rows = pixels_around(row, args.in_h, args.fill);
  const auto value = [&](std::int64_t at_row, std::int64_t at_column, std::size_t c) {
    if (at_row < 0 || at_column < 0) return 0.0;
    return static_cast<double>(x[(at_row * args.in_w + at_column) * 3 + static_cast<std::int64_t>(c)]);
  };
  const auto between = [](double a, double b, double fraction) { return a + (b - a) * fraction; };
  Colour colour;
  for (std::size_t c = 0; c < 3; ++c) {
    const double top =
        between(value(rows.first, columns.first, c), value(rows.first, columns.second, c), columns.fraction);
    const double bottom = between(value(rows.second, columns.first, c), value(rows.second, columns.second, c),
                                  columns.fraction);
    colour[c] = between(top, bottom, rows.fraction);
  }
  return colour;
}

// By way of hue, saturation and value (Smith, "Color gamut transform pairs", SIGGRAPH 1978), hue in sixths of
// a turn, chroma = saturation * value.
Colour shift_hue_and_saturation(const Colour& colour, const AugmentPicture& picture) {
  const auto [r, g, b] = colour;
  const double value = std::max({r, g, b}), chroma = value - std::min({r, g, b});
  if (chroma <= 0) return colour;
  double hue = value == r ? (g - b) / chroma : value == g ? (b - r) / chroma + 2 : (r - g) / chroma + 4;
  hue += 6.0 * picture.hue;
  hue -= 6 * std::floor(hue / 6);
  const double new_chroma = std::min(chroma * picture.saturation, value);
  const auto channel = [&](double share) { return value - new_chroma * (1 - std::clamp(share, 0.0, 1.0)); };
  return {channel(std::abs(hue - 3) - 1), channel(2 - std::abs(hue - 2)), channel(2 - std::abs(hue - 4))};
}

Colour mean_of(const std::vector<Colour>& colours) {
  Colour mean{};
  for (const Colour& colour : colours) {
    for (std::size_t c = 0; c < 3; ++c) mean[c] += colour[c];
  }
  for (double& value : mean) value /= static_cast<double>(colours.size());
  return mean;
}

bool erased(const AugmentPicture& picture, std::int64_t column, std::int64_t row) {
  return row >= picture.erase_top && row < picture.erase_bottom && column >= picture.erase_left &&
         column < picture.erase_right;
}

template <class T>
void augment_picture(const Augment& args, const AugmentPicture& picture, const std::uint8_t* x, T* y) {
  std::vector<Colour> colours;
  const float* warp = picture.warp;
  for (std::int64_t row = 0; row < args.out_h; ++row) {
    for (std::int64_t column = 0; column < args.out_w; ++column) {
      const auto along = static_cast<double>(column), down = static_cast<double>(row);
      Colour colour = interpolate(args, x, warp[0] * along + warp[1] * down + warp[2],
                                  warp[3] * along + warp[4] * down + warp[5]);
      if (picture.hue != 0 || picture.saturation != 1) colour = shift_hue_and_saturation(colour, picture);
      colours.push_back(colour);
    }
  }
  const Colour mean = mean_of(colours);
  const std::uint64_t key = picture.key[0] | std::uint64_t{picture.key[1]} << 32;
  const double kept_scale = 1 / (1 - static_cast<double>(args.dropout));
  for (std::size_t p = 0; p < colours.size(); ++p) {
    const auto pixel = static_cast<std::int64_t>(p);
    const bool painted = erased(picture, pixel % args.out_w, pixel / args.out_w);
    const Philox4 draws = random_block(key, 0, 0, static_cast<std::uint32_t>(p));
    for (std::size_t c = 0; c < 3; ++c) {
      double value = colours[p][c];
      if (picture.contrast != 1) value = clip((value - mean[c]) * picture.contrast + mean[c]);
      if (picture.brightness != 0) value = clip(value + picture.brightness);
      if (painted) value = picture.erase_colour[c];
      const bool kept = uniform(draws.word[c]) >= args.dropout;
      *y++ = static_cast<T>(kept ? value * kept_scale * args.scale[c] + args.offset[c] : args.offset[c]);
    }
  }
}

template <class T>
void augment(const Augment& args) {
  for (std::int64_t n = 0; n < args.batch; ++n) {
    augment_picture(args, args.pictures[n], args.x + n * args.in_h * args.in_w * 3,
                    static_cast<T*>(args.y) + n * args.out_h * args.out_w * 3);
  }
}

template <class T>
void mix_reversed(const MixReversed& args) {
  const auto* x = static_cast<const T*>(args.x);
  auto* y = static_cast<T*>(args.y);
  for (std::int64_t row = 0; row < args.rows; ++row) {
    const T* own = x + row * args.count;
    const T* other = x + (args.rows - 1 - row) * args.count;
    for (std::int64_t i = 0; i < args.count; ++i) {
      *y++ = static_cast<T>(args.weight * own[i] + (1 - args.weight) * other[i]);
    }
  }
}

}  // namespace

void add_augment_kernels(KernelTable& table) {
  auto kernel = float_kernel<Augment, augment<float>, augment<double>>();
  kernel.supports = [](const Augment& args) {
    const bool nothing = args.batch == 0 || args.out_h == 0 || args.out_w == 0;
    return is_float(args.type) && (nothing || (args.in_h > 0 && args.in_w > 0));
  };
  table.augment.add(kernel);
  table.mix_reversed.add(float_kernel<MixReversed, mix_reversed<float>, mix_reversed<double>>());
}

}  // namespace pila::kernels::reference
