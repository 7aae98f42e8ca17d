#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/augment.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/args/augment.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/simd_random.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

using IntTag = hn::RebindToSigned<FloatTag>;
using IntVector = hn::Vec<IntTag>;

// Neighbours in a row, one a lane.
struct Pixels {
  FloatVector r, g, b;
};

// NaN becomes `low` on x86, which hands out the second operand, and pixel 0 on ARM, which converts it to 0:
// what overflows leads nowhere outside of the picture.
HWY_INLINE FloatVector bounded(FloatVector low, FloatVector high, FloatVector x) {
  return hn::Min(hn::Max(x, low), high);
}
HWY_INLINE FloatVector clip(FloatVector x) {
  return bounded(hn::Zero(FloatTag()), hn::Set(FloatTag(), 255.0f), x);
}

HWY_INLINE Pixels load_pixels(const float* from, std::size_t count) {
  const FloatTag d;
  HWY_ALIGN float part[3 * kFloatLanes];
  if (count < kFloatLanes) {
    std::memcpy(part, from, 3 * count * sizeof(float));
    std::fill(part + 3 * count, part + 3 * kFloatLanes, 0.0f);
    from = part;
  }
  Pixels pixels;
  hn::LoadInterleaved3(d, from, pixels.r, pixels.g, pixels.b);
  return pixels;
}

HWY_INLINE void store_pixels(const Pixels& pixels, float* to, std::size_t count) {
  const FloatTag d;
  if (count >= kFloatLanes) return hn::StoreInterleaved3(pixels.r, pixels.g, pixels.b, d, to);
  HWY_ALIGN float part[3 * kFloatLanes];
  hn::StoreInterleaved3(pixels.r, pixels.g, pixels.b, d, part);
  std::memcpy(to, part, 3 * count * sizeof(float));
}

// Between which two pixels along an axis positions lie, and with which weights.
struct Neighbours {
  IntVector first, second;
  FloatVector first_weight, second_weight;
};

class Axis {
 public:
  Axis(std::int64_t size, FillMode fill)
      : last_(static_cast<std::int32_t>(size - 1)),
        size_(static_cast<float>(size)),
        per_period_(0.5f / size_),
        fill_(fill) {}

  HWY_INLINE Neighbours neighbours(FloatVector position) const {
    const FloatTag d;
    const IntTag di;
    const auto zero = hn::Zero(d), one = hn::Set(d, 1.0f), size = hn::Set(d, size_);
    if (fill_ == FillMode::reflect) {
      // Distances from the picture's edge, half a pixel before its first pixel; the mirrored picture repeats
      // itself.
      const auto half = hn::Set(d, 0.5f), period = hn::Add(size, size);
      auto edge = hn::Add(position, half);
      const auto periods = hn::Floor(hn::Mul(edge, hn::Set(d, per_period_)));
      edge = hn::NegMulAdd(periods, period, edge);
      position = hn::Sub(hn::Sub(size, hn::Abs(hn::Sub(edge, size))), half);
    }
    const bool black = fill_ == FillMode::constant;
    position = black ? bounded(hn::Neg(one), size, position) : bounded(zero, hn::Sub(size, one), position);
    const auto below = hn::Floor(position);
    const auto fraction = hn::Sub(position, below);
    const auto index = hn::ConvertTo(di, below);
    const auto next = hn::Add(index, hn::Set(di, 1)), last = hn::Set(di, last_);
    Neighbours result{index, hn::Min(next, last), hn::Sub(one, fraction), fraction};
    if (black) {
      const auto edge = hn::Sub(size, one);
      result.first_weight =
          hn::IfThenElseZero(hn::And(hn::Ge(below, zero), hn::Le(below, edge)), result.first_weight);
      result.second_weight = hn::IfThenElseZero(hn::Lt(below, edge), result.second_weight);
      result.first = hn::Min(hn::Max(index, hn::Zero(di)), last);
    }
    return result;
  }

 private:
  std::int32_t last_;
  float size_, per_period_;
  FillMode fill_;
};

// One picture's bytes, read four at a time: a pixel and the byte behind it, or, for the last pixel, before
// it.
class Source {
 public:
  Source(const Augment& args, const std::uint8_t* x)
      : columns_(args.in_w, args.fill),
        rows_(args.in_h, args.fill),
        x_(reinterpret_cast<const std::int32_t*>(x)),
        row_bytes_(static_cast<std::int32_t>(args.in_w * 3)),
        last_word_(static_cast<std::int32_t>(args.in_h * args.in_w * 3 - 4)) {}

  HWY_INLINE Pixels at(FloatVector column, FloatVector row) const {
    const IntTag di;
    const Neighbours columns = columns_.neighbours(column), rows = rows_.neighbours(row);
    const auto top = hn::Mul(rows.first, hn::Set(di, row_bytes_));
    const auto bottom = hn::Mul(rows.second, hn::Set(di, row_bytes_));
    const auto left = hn::Mul(columns.first, hn::Set(di, 3)), right = hn::Mul(columns.second, hn::Set(di, 3));
    const IntVector corners[4] = {words(hn::Add(top, left)), words(hn::Add(top, right)),
                                  words(hn::Add(bottom, left)), words(hn::Add(bottom, right))};
    const FloatVector weights[4] = {hn::Mul(rows.first_weight, columns.first_weight),
                                    hn::Mul(rows.first_weight, columns.second_weight),
                                    hn::Mul(rows.second_weight, columns.first_weight),
                                    hn::Mul(rows.second_weight, columns.second_weight)};
    return {mix<0>(corners, weights), mix<8>(corners, weights), mix<16>(corners, weights)};
  }

 private:
  HWY_INLINE IntVector words(IntVector offset) const {
    const IntTag di;
    const auto readable = hn::Min(offset, hn::Set(di, last_word_));
    const auto bits_before = hn::ShiftLeft<3>(hn::Sub(offset, readable));
    const auto words = hn::GatherOffset(di, x_, readable);
    return hn::BitCast(di, hn::Shr(hn::BitCast(WordTag(), words), hn::BitCast(WordTag(), bits_before)));
  }

  template <int bit>
  HWY_INLINE FloatVector mix(const IntVector corners[4], const FloatVector weights[4]) const {
    const FloatTag d;
    const IntTag di;
    const auto channel = [&](IntVector words) HWY_ATTR {
      return hn::ConvertTo(d, hn::And(hn::ShiftRight<bit>(words), hn::Set(di, 0xFF)));
    };
    auto sum = hn::Mul(channel(corners[0]), weights[0]);
    for (int i = 1; i < 4; ++i) sum = hn::MulAdd(channel(corners[i]), weights[i], sum);
    return sum;
  }

  Axis columns_, rows_;
  const std::int32_t* x_;
  std::int32_t row_bytes_, last_word_;
};

// By way of hue, saturation and value, as the reference does it; grey stays grey.
HWY_INLINE Pixels shift_hue_and_saturation(const Pixels& pixels, float hue_shift, float saturation) {
  const FloatTag d;
  const auto zero = hn::Zero(d), one = hn::Set(d, 1.0f), two = hn::Set(d, 2.0f), four = hn::Set(d, 4.0f);
  const auto value = hn::Max(pixels.r, hn::Max(pixels.g, pixels.b));
  const auto chroma = hn::Sub(value, hn::Min(pixels.r, hn::Min(pixels.g, pixels.b)));
  // A divisor so small that it changes no other quotient.
  const auto per_chroma = hn::Div(one, hn::Max(chroma, hn::Set(d, 1e-30f)));
  const auto from_red = hn::Mul(hn::Sub(pixels.g, pixels.b), per_chroma);
  const auto from_green = hn::MulAdd(hn::Sub(pixels.b, pixels.r), per_chroma, two);
  const auto from_blue = hn::MulAdd(hn::Sub(pixels.r, pixels.g), per_chroma, four);
  auto hue = hn::IfThenElse(hn::Eq(value, pixels.r), from_red,
                            hn::IfThenElse(hn::Eq(value, pixels.g), from_green, from_blue));
  hue = hn::Add(hue, hn::Set(d, 6 * hue_shift));
  hue = hn::NegMulAdd(hn::Floor(hn::Mul(hue, hn::Set(d, 1.0f / 6))), hn::Set(d, 6.0f), hue);
  const auto new_chroma = hn::Min(hn::Mul(chroma, hn::Set(d, saturation)), value);
  const auto channel = [&](FloatVector share) HWY_ATTR {
    return hn::NegMulAdd(new_chroma, hn::Sub(one, bounded(zero, one, share)), value);
  };
  return {channel(hn::Sub(hn::Abs(hn::Sub(hue, hn::Set(d, 3.0f))), one)),
          channel(hn::Sub(two, hn::Abs(hn::Sub(hue, two)))),
          channel(hn::Sub(two, hn::Abs(hn::Sub(hue, four))))};
}

// What follows on the warp of one picture and needs its mean.
class Finish {
 public:
  Finish(const Augment& args, const AugmentPicture& picture, const float mean[3])
      : args_(args),
        picture_(picture),
        mean_(mean),
        key_(picture.key[0] | std::uint64_t{picture.key[1]} << 32),
        threshold_(static_cast<std::int32_t>(std::ceil(static_cast<double>(args.dropout) * 16777216.0))),
        kept_scale_(static_cast<float>(1 / (1 - static_cast<double>(args.dropout)))) {}

  // The pixels from (x, y) on.
  HWY_INLINE Pixels operator()(const Pixels& pixels, std::int64_t x, std::int64_t y) const {
    const IntTag di;
    const auto column = hn::Iota(di, static_cast<std::int32_t>(x));
    auto painted = hn::Lt(column, hn::Zero(di));
    if (y >= picture_.erase_top && y < picture_.erase_bottom) {
      painted = hn::And(hn::Gt(column, hn::Set(di, picture_.erase_left - 1)),
                        hn::Lt(column, hn::Set(di, picture_.erase_right)));
    }
    const auto none = hn::Zero(WordTag());  // {} would leave those of NEON unset
    WordVector words[4] = {none, none, none, none};
    if (args_.dropout > 0) {
      const auto first = hn::Set(WordTag(), static_cast<std::uint32_t>(y * args_.out_w));
      random_blocks({key_, 0, 0}, hn::Add(first, hn::BitCast(WordTag(), column)), words);
    }
    const auto mask = hn::RebindMask(FloatTag(), painted);
    return {channel(pixels.r, 0, mask, words), channel(pixels.g, 1, mask, words),
            channel(pixels.b, 2, mask, words)};
  }

 private:
  template <class Mask>
  HWY_INLINE FloatVector channel(FloatVector value, int c, Mask painted, const WordVector words[4]) const {
    const FloatTag d;
    if (picture_.contrast != 1) {
      const auto mean = hn::Set(d, mean_[c]);
      value = clip(hn::MulAdd(hn::Sub(value, mean), hn::Set(d, picture_.contrast), mean));
    }
    if (picture_.brightness != 0) value = clip(hn::Add(value, hn::Set(d, picture_.brightness)));
    value = hn::IfThenElse(painted, hn::Set(d, picture_.erase_colour[c]), value);
    if (args_.dropout > 0) value = keep(words[c], threshold_, hn::Set(d, kept_scale_), value);
    return hn::MulAdd(value, hn::Set(d, args_.scale[c]), hn::Set(d, args_.offset[c]));
  }

  const Augment& args_;
  const AugmentPicture& picture_;
  const float* mean_;
  std::uint64_t key_;
  std::int32_t threshold_;
  float kept_scale_;
};

// Calls body(x, how many pixels) for a row's pixels, a vector of them at a time.
template <class Body>
HWY_INLINE void for_row(std::int64_t width, const Body& body) {
  constexpr auto kLanes = static_cast<std::int64_t>(kFloatLanes);
  for (std::int64_t x = 0; x < width; x += kLanes) {
    body(x, static_cast<std::size_t>(std::min(kLanes, width - x)));
  }
}

// With a change of contrast there are two passes, the first of which leaves the warped picture in y.
void augment_picture(const Augment& args, std::int64_t index) {
  const FloatTag d;
  const AugmentPicture& picture = args.pictures[index];
  const Source source(args, args.x + index * args.in_h * args.in_w * 3);
  float* y = static_cast<float*>(args.y) + index * args.out_h * args.out_w * 3;
  const float* warp = picture.warp;
  const bool recolour = picture.hue != 0 || picture.saturation != 1, needs_mean = picture.contrast != 1;

  float mean[3] = {};
  const Finish finish(args, picture, mean);
  double sums[3] = {};
  for (std::int64_t row = 0; row < args.out_h; ++row) {
    float* to = y + row * args.out_w * 3;
    const auto down = static_cast<double>(row);
    const auto row_column = hn::Set(d, static_cast<float>(warp[1] * down + warp[2]));
    const auto row_row = hn::Set(d, static_cast<float>(warp[4] * down + warp[5]));
    auto red = hn::Zero(d), green = hn::Zero(d), blue = hn::Zero(d);
    for_row(args.out_w, [&](std::int64_t x, std::size_t count) HWY_ATTR {
      const auto along = hn::Iota(d, static_cast<float>(x));
      Pixels pixels = source.at(hn::MulAdd(along, hn::Set(d, warp[0]), row_column),
                                hn::MulAdd(along, hn::Set(d, warp[3]), row_row));
      if (recolour) pixels = shift_hue_and_saturation(pixels, picture.hue, picture.saturation);
      if (needs_mean) {
        const auto inside = hn::FirstN(d, count);
        red = hn::Add(red, hn::IfThenElseZero(inside, pixels.r));
        green = hn::Add(green, hn::IfThenElseZero(inside, pixels.g));
        blue = hn::Add(blue, hn::IfThenElseZero(inside, pixels.b));
      } else {
        pixels = finish(pixels, x, row);
      }
      store_pixels(pixels, to + 3 * x, count);
    });
    sums[0] += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, red)));
    sums[1] += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, green)));
    sums[2] += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, blue)));
  }
  if (!needs_mean) return;

  for (int c = 0; c < 3; ++c)
    mean[c] = static_cast<float>(sums[c] / static_cast<double>(args.out_h * args.out_w));
  for (std::int64_t row = 0; row < args.out_h; ++row) {
    float* pixels = y + row * args.out_w * 3;
    for_row(args.out_w, [&](std::int64_t x, std::size_t count) HWY_ATTR {
      store_pixels(finish(load_pixels(pixels + 3 * x, count), x, row), pixels + 3 * x, count);
    });
  }
}

// y = weight * own + (1 - weight) * other.
void mix_range(float weight, const float* own, const float* other, float* y, std::size_t count) {
  const FloatTag d;
  const auto own_weight = hn::Set(d, weight), other_weight = hn::Set(d, 1 - weight);
  const auto mix = [&](FloatVector a, FloatVector b)
                       HWY_ATTR { return hn::MulAdd(a, own_weight, hn::Mul(b, other_weight)); };
  std::size_t i = 0;
  for (; i + kFloatLanes <= count; i += kFloatLanes) {
    hn::StoreU(mix(hn::LoadU(d, own + i), hn::LoadU(d, other + i)), d, y + i);
  }
  if (i == count) return;
  const std::size_t rest = count - i;
  store_partial(mix(load_partial(d, own + i, rest), load_partial(d, other + i, rest)), d, y + i, rest);
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <limits>

#include "kernels/cpu/families.h"
#include "kernels/cpu/pieces.h"

namespace pila::kernels::cpu {
namespace {

HWY_EXPORT(augment_picture);
HWY_EXPORT(mix_range);

// Offsets within a picture are int32, pixels' coordinates whole in float32.
bool supports_augment(const Augment& args) {
  constexpr std::int64_t kLargest = std::int64_t{1} << 24;
  const bool small = args.in_h <= kLargest && args.in_w <= kLargest && args.out_h <= kLargest &&
                     args.out_w <= kLargest &&
                     args.in_h * args.in_w <= std::numeric_limits<std::int32_t>::max() / 3;
  return args.type == DType::f32 && small && args.in_h * args.in_w >= 2;
}

// One task a picture, whose floats fit into a core's own cache.
Status run_augment(const Augment& args, const Launch& launch) {
  const auto function = HWY_DYNAMIC_DISPATCH(augment_picture);
  pool_of(*launch.stream).run(args.batch, [&](std::int64_t index, int) { function(args, index); });
  return nullptr;
}

Status run_mix(const MixReversed& args, const Launch& launch) {
  const auto function = HWY_DYNAMIC_DISPATCH(mix_range);
  const auto* x = static_cast<const float*>(args.x);
  auto* y = static_cast<float*>(args.y);
  const auto weight = static_cast<float>(args.weight);
  run_pieces(pool_of(*launch.stream), args.rows * args.count, kPiece,
             [&](std::int64_t begin, std::int64_t end) {
               while (begin < end) {
                 const std::int64_t row = begin / args.count, other = args.rows - 1 - row;
                 const std::int64_t stop = std::min(end, (row + 1) * args.count);
                 function(weight, x + begin, x + begin + (other - row) * args.count, y + begin,
                          static_cast<std::size_t>(stop - begin));
                 begin = stop;
               }
             });
  return nullptr;
}

}  // namespace

void add_augment_kernels(KernelTable& table) {
  table.augment.add({"augment_f32", supports_augment, nullptr, run_augment});
  table.mix_reversed.add({"mix_reversed_f32", [](const MixReversed& args) { return args.type == DType::f32; },
                          nullptr, run_mix});
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
