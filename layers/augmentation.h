// Random changes to training pictures, so that a network sees each one differently every time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/core/context.h"
#include "engine/core/tensor.h"
#include "engine/ops/augment.h"
#include "layers/picture_warp.h"
#include "layers/preprocessing.h"

namespace pila {

struct Range {
  double low = 0, high = 0;
  bool operator==(const Range&) const = default;
};

// What is done to a picture, in this order, on pixel values 0..255; as it stands, nothing. Factors are those
// of the Keras 3 layer named, drawn anew for each picture.
struct Augmentation {
  // RandomFlip: each with probability 1/2, by a coin of its own, as in Keras 2. In Keras 3's mode
  // "horizontal_and_vertical" one coin decides for both: `flip_together`.
  bool flip_horizontal = false, flip_vertical = false, flip_together = false;
  // RandomRotation, in [0, 1]: up to this part of a turn either way.
  double rotation = 0;
  // RandomZoom's height_factor, in (-1, 1]: a positive one shrinks the picture, a negative one enlarges it.
  Range zoom;
  // Its width_factor, drawn by itself; without one the picture's proportions stay.
  std::optional<Range> zoom_width;
  // RandomTranslation, in [0, 1]: up to this part of the height and width either way.
  double translation_height = 0, translation_width = 0;
  // What moves in from beyond the edge; `constant` is black.
  FillMode fill = FillMode::reflect;

  // RandomHue, in [0, 1]: the hue moves by up to half of this part of a turn either way.
  double hue = 0;
  // The saturation is multiplied by 1 - saturation to 1 + saturation, in [0, 1]. (RandomSaturation draws u
  // and multiplies by u / (1 - u).)
  double saturation = 0;
  // RandomContrast, in [0, 1]: the distance from each channel's mean is multiplied by 1 - contrast to
  // 1 + contrast.
  double contrast = 0;
  // RandomBrightness, in [0, 1]: up to this part of 255 is added either way.
  double brightness = 0;

  // With this probability a rectangle of one random colour covers a part of the picture: its area a share in
  // erase_area of the whole, its width by its height in erase_aspect (Zhong et al., "Random erasing data
  // augmentation", AAAI 2020; in Keras every pixel has a colour of its own).
  double erase_probability = 0;
  Range erase_area = {0.02, 0.33};   // in (0, 1]
  Range erase_aspect = {0.3, 3.33};  // in [0.01, 100]

  // Dropout on the picture, in [0, 1): each channel of each pixel becomes 0 with this probability, the others
  // are divided by 1 - pixel_dropout.
  double pixel_dropout = 0;

  // Mixes the pictures of a batch with a weight from Beta(mixup, mixup), mixup 0 (nothing is mixed) to 10.
  // Not done by augment(): see draw_mixup().
  double mixup = 0;

  bool operator==(const Augmentation&) const = default;
};

// The members by name, for files and messages, with the values they take.
struct Bounds {
  double low, high;
  bool open_low = false, open_high = false;  // whether the end itself is left out
};
struct AugmentationFlag {
  const char* name;
  bool Augmentation::*member;
};
struct AugmentationNumber {
  const char* name;
  double Augmentation::*member;
  Bounds bounds;
};
struct AugmentationRange {
  const char* name;
  Range Augmentation::*member;
  Bounds bounds;
};
std::span<const AugmentationFlag> augmentation_flags();
std::span<const AugmentationNumber> augmentation_numbers();
std::span<const AugmentationRange> augmentation_ranges();  // all but zoom_width, whose bounds are zoom's

// What is out of its bounds, "expected rotation in [0, 1], got 3"; empty where all is well.
std::string problem_of(const Augmentation& augmentation);

// images: uint8 [n, h, w, 3], RGB. Returns float32 [n, height, width, 3]: stretched, warped, coloured, then
// scaled by `preprocessing`. What happens to picture i depends on nothing but (seed, step, first + i): not on
// the batch it is in, nor on the number of threads. With nothing switched on it is preprocess(), to rounding.
// Stretching and all movements are one warp, so that a picture is interpolated once. Throws UsageError where
// there is a problem_of() the augmentation, ShapeError for other images or first + n > 2^32.
Tensor augment(const Context& ctx, const Tensor& images, const Augmentation& augmentation,
               const Preprocessing& preprocessing, std::uint64_t seed, std::int64_t step,
               std::int64_t first = 0);

// What augment() does to each of `count` pictures of one size that become pictures of another.
std::vector<AugmentPicture> draw_pictures(const Augmentation& augmentation, PictureSize from, PictureSize to,
                                          std::uint64_t seed, std::int64_t step, std::int64_t first,
                                          std::int64_t count);

// How a batch is mixed (Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018): its pictures
// become ops::mix_with_reversed(ctx, x, weight), and its loss weight * loss(labels) + (1 - weight) *
// loss(labels in reverse order).
struct Mixup {
  float weight = 1;  // 1 leaves the batch as it is
};
Mixup draw_mixup(const Augmentation& augmentation, std::uint64_t seed, std::int64_t step);

}  // namespace pila
