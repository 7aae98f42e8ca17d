// Random changes to training pictures in two steps: the warp and what belongs to each pixel's colour alone,
// then what needs the picture's mean.

#include "kernels/args/augment.h"

#include <algorithm>

#include "kernels/cuda/device/each.cuh"
#include "kernels/cuda/families.h"
#include "kernels/random.h"

namespace pila::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kMostBlocks = 64;  // of a picture

struct Colour {
  float channel[3];
};

__device__ inline float bounded(float low, float high, float x) { return fminf(fmaxf(x, low), high); }

// The two pixels that a position along an axis lies between, and what each counts.
struct Neighbours {
  std::int64_t first, second;
  float first_weight, second_weight;

  __device__ Neighbours(float position, std::int64_t size, FillMode fill) {
    const auto extent = static_cast<float>(size);
    if (fill == FillMode::reflect) {
      // Distances from the picture's edge, half a pixel before its first pixel; the mirrored picture repeats
      // itself.
      float edge = position + 0.5f;
      edge -= floorf(edge * (0.5f / extent)) * (2 * extent);
      position = extent - fabsf(edge - extent) - 0.5f;
    }
    const bool black = fill == FillMode::constant;
    position = black ? bounded(-1, extent, position) : bounded(0, extent - 1, position);
    const float below = floorf(position);
    const auto pixel = static_cast<std::int64_t>(below);
    second_weight = position - below;
    first_weight = 1 - second_weight;
    if (black && (pixel < 0 || pixel >= size)) first_weight = 0;
    if (black && pixel + 1 >= size) second_weight = 0;
    first = pixel < 0 ? 0 : pixel < size ? pixel : size - 1;
    second = pixel + 1 < size ? pixel + 1 : size - 1;
  }
};

__device__ inline Colour interpolate(const Augment& args, const std::uint8_t* x, float column, float row) {
  const Neighbours columns(column, args.in_w, args.fill), rows(row, args.in_h, args.fill);
  Colour colour;
  for (int c = 0; c < 3; ++c) {
    const auto value = [&](std::int64_t at_row, std::int64_t at_column) {
      return static_cast<float>(x[(at_row * args.in_w + at_column) * 3 + c]);
    };
    const float top = value(rows.first, columns.first) * columns.first_weight +
                      value(rows.first, columns.second) * columns.second_weight;
    const float bottom = value(rows.second, columns.first) * columns.first_weight +
                         value(rows.second, columns.second) * columns.second_weight;
    colour.channel[c] = top * rows.first_weight + bottom * rows.second_weight;
  }
  return colour;
}

// By way of hue, saturation and value (Smith, "Color gamut transform pairs", SIGGRAPH 1978), hue in sixths of
// a turn, chroma = saturation * value.
__device__ inline Colour shift_hue_and_saturation(const Colour& colour, const AugmentPicture& picture) {
  const float r = colour.channel[0], g = colour.channel[1], b = colour.channel[2];
  const float value = fmaxf(r, fmaxf(g, b)), chroma = value - fminf(r, fminf(g, b));
  if (chroma <= 0) return colour;
  float hue = value == r ? (g - b) / chroma : value == g ? (b - r) / chroma + 2 : (r - g) / chroma + 4;
  hue += 6 * picture.hue;
  hue -= 6 * floorf(hue / 6);
  const float new_chroma = fminf(chroma * picture.saturation, value);
  const auto channel = [&](float share) { return value - new_chroma * (1 - bounded(0, 1, share)); };
  return {{channel(fabsf(hue - 3) - 1), channel(2 - fabsf(hue - 2)), channel(2 - fabsf(hue - 4))}};
}

// Calls visit(pixel) for the thread's pixels of the block's picture, which is number blockIdx.y.
template <class Visit>
__device__ void for_pixels(const Augment& args, const Visit& visit) {
  const std::int64_t pixels = args.out_h * args.out_w;
  const std::int64_t thread = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  for (std::int64_t i = thread; i < pixels; i += static_cast<std::int64_t>(gridDim.x) * kThreads) visit(i);
}

// Leaves the colours in y, and each block's sums of them in [pictures, blocks, 3].
__global__ void __launch_bounds__(kThreads) warp_pictures(Augment args, float* block_sums) {
  const AugmentPicture& picture = args.pictures[blockIdx.y];
  const std::uint8_t* x = args.x + blockIdx.y * args.in_h * args.in_w * 3;
  float* y = static_cast<float*>(args.y) + blockIdx.y * args.out_h * args.out_w * 3;
  const float* warp = picture.warp;
  float sums[3] = {};
  for_pixels(args, [&](std::int64_t pixel) {
    const auto along = static_cast<float>(pixel % args.out_w), down = static_cast<float>(pixel / args.out_w);
    Colour colour = interpolate(args, x, fmaf(warp[0], along, fmaf(warp[1], down, warp[2])),
                                fmaf(warp[3], along, fmaf(warp[4], down, warp[5])));
    if (picture.hue != 0 || picture.saturation != 1) colour = shift_hue_and_saturation(colour, picture);
    for (int c = 0; c < 3; ++c) {
      y[pixel * 3 + c] = colour.channel[c];
      sums[c] += colour.channel[c];
    }
  });
  auto* shared = shared_memory<float>();
  for (int c = 0; c < 3; ++c) shared[c * kThreads + threadIdx.x] = sums[c];
  for (unsigned half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x >= half) continue;
    for (int c = 0; c < 3; ++c)
      shared[c * kThreads + threadIdx.x] += shared[c * kThreads + threadIdx.x + half];
  }
  __syncthreads();
  if (threadIdx.x < 3) {
    block_sums[(blockIdx.y * gridDim.x + blockIdx.x) * 3 + threadIdx.x] = shared[threadIdx.x * kThreads];
  }
}

__global__ void __launch_bounds__(kThreads) finish_pictures(Augment args, const float* block_sums) {
  const AugmentPicture& picture = args.pictures[blockIdx.y];
  float* y = static_cast<float*>(args.y) + blockIdx.y * args.out_h * args.out_w * 3;
  auto* mean = shared_memory<float>();
  if (threadIdx.x < 3) {
    float sum = 0;
    for (unsigned block = 0; block < gridDim.x; ++block) {
      sum += block_sums[(blockIdx.y * gridDim.x + block) * 3 + threadIdx.x];
    }
    mean[threadIdx.x] = sum / static_cast<float>(args.out_h * args.out_w);
  }
  __syncthreads();
  const std::uint64_t key = picture.key[0] | static_cast<std::uint64_t>(picture.key[1]) << 32;
  const float kept_scale = 1 / (1 - args.dropout);
  for_pixels(args, [&](std::int64_t pixel) {
    const std::int64_t column = pixel % args.out_w, row = pixel / args.out_w;
    const bool painted = row >= picture.erase_top && row < picture.erase_bottom &&
                         column >= picture.erase_left && column < picture.erase_right;
    Philox4 draws{};
    if (args.dropout > 0) draws = random_block(key, 0, 0, static_cast<std::uint32_t>(pixel));
    for (int c = 0; c < 3; ++c) {
      float value = y[pixel * 3 + c];
      if (picture.contrast != 1) value = bounded(0, 255, fmaf(value - mean[c], picture.contrast, mean[c]));
      if (picture.brightness != 0) value = bounded(0, 255, value + picture.brightness);
      if (painted) value = picture.erase_colour[c];
      const bool kept = uniform(draws.word[c]) >= args.dropout;
      y[pixel * 3 + c] = kept ? fmaf(value * kept_scale, args.scale[c], args.offset[c]) : args.offset[c];
    }
  });
}

std::int64_t blocks_of(const Augment& args) {
  return std::clamp<std::int64_t>((args.out_h * args.out_w + kThreads - 1) / kThreads, 1, kMostBlocks);
}

Status run_augment(const Augment& args, const Launch& on) {
  if (args.batch == 0 || args.out_h == 0 || args.out_w == 0) return nullptr;
  const dim3 blocks(static_cast<unsigned>(blocks_of(args)), static_cast<unsigned>(args.batch));
  auto* sums = static_cast<float*>(on.workspace);
  const Status status =
      launch(warp_pictures, {blocks, dim3(kThreads), 3 * kThreads * sizeof(float)}, on, args, sums);
  if (status != nullptr) return status;
  return launch(finish_pictures, {blocks, dim3(kThreads), 3 * sizeof(float)}, on, args, sums);
}

bool supports_augment(const Augment& args) {
  const bool nothing = args.batch == 0 || args.out_h == 0 || args.out_w == 0;
  return args.type == DType::f32 && (nothing || (args.in_h > 0 && args.in_w > 0));
}

struct Mix {
  MixReversed args;
  float own, other;
  __device__ void operator()(std::int64_t i) const {
    const float* x = static_cast<const float*>(args.x);
    const std::int64_t mirrored = (args.rows - 1 - i / args.count) * args.count + i % args.count;
    static_cast<float*>(args.y)[i] = fmaf(own, x[i], other * x[mirrored]);
  }
};

Status run_mix(const MixReversed& args, const Launch& on) {
  return for_each(on, args.rows * args.count,
                  Mix{args, static_cast<float>(args.weight), static_cast<float>(1 - args.weight)});
}

}  // namespace

void add_augment_kernels(KernelTable& table) {
  table.augment.add({"augment", supports_augment,
                     [](const Augment& args, const Stream&) {
                       return static_cast<std::size_t>(args.batch * blocks_of(args) * 3) * sizeof(float);
                     },
                     run_augment});
  table.mix_reversed.add(
      {"mix_reversed", [](const MixReversed& args) { return args.type == DType::f32; }, nullptr, run_mix});
}

}  // namespace pila::kernels::cuda
