// One worker's part of an inverted residual: rows of the wide tensor are made in a ring and filtered there,
// chunk of channels by chunk, so that they never leave the cache.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/ahead.h"
#include "kernels/cpu/elements.h"
#include "kernels/cpu/inverted_residual.h"

namespace pila::kernels::cpu {

struct BlockJob {
  const InvertedResidual& args;
  const InvertedResidualPlan& plan;
  const float* weights;  // prepared

  // The rows of the wide tensor under output rows [row, last), of which those before `made` are made.
  std::int64_t top(std::int64_t row, std::int64_t made) const {
    return std::max(made, row * plan.stride - args.depthwise.window.pad_top);
  }
  std::int64_t bottom(std::int64_t last) const {
    return std::min((last - 1) * plan.stride - args.depthwise.window.pad_top + plan.kernel,
                    args.depthwise.in_h);
  }
};

// Scratch memory of one worker; the last two workers may share.
struct BlockScratch {
  float* ring;
  float* zeros;
  float* filtered_rows;
  float* rounded;   // rows of x, as elements
  float* filtered;  // as elements
};

// Rows of one image of x, from number `first` on, as elements of what reads them.
struct InputRows {
  const void* data;
  std::int64_t first;
};

using FilterChunk = std::int64_t (*)(const BlockJob& job, const BlockScratch& scratch, const InputRows& x,
                                     std::int64_t chunk, std::int64_t begin, std::int64_t end,
                                     std::int64_t made, const Ahead& ahead);

// For factors of type Element, expanded by the matrix unit or by vectors; null where the instruction set has
// no such products.
template <class Element>
FilterChunk filter_chunk(bool tiled);
template <>
FilterChunk filter_chunk<float>(bool tiled);
template <>
FilterChunk filter_chunk<BFloat16Pair>(bool tiled);
template <>
FilterChunk filter_chunk<Int8Quad>(bool tiled);
template <>
FilterChunk filter_chunk<Int8Pair>(bool tiled);

// Zeros where rows of the ring stand out of the image; before the first filter_chunk() of an image.
void clear_borders(const BlockJob& job, const BlockScratch& scratch);

// Where there is no project: the filtered pixels as they are.
void copy_pixels(const BlockJob& job, const float* filtered, std::int64_t pixel, std::int64_t pixels);

}  // namespace pila::kernels::cpu
