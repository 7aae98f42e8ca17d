// All gradients of a depthwise convolution with a 3x3 window in one pass over its images.
//
// Inputs are walked in steps: of one row with a stride of 1, of two with a stride of 2. The outputs that read
// a step's rows are the step's own one, which no step before it has seen, and a few above it. Their gradients
// behind the activation lie in a ring of rows, so that each is made once. Columns are walked likewise.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/args/conv.h"
#include "kernels/cpu/gemm_blocks.h"

namespace pila::kernels::cpu {

constexpr std::int64_t kGradientSums = 10;     // per channel: of nine weights and the bias
constexpr std::int64_t kMaxGradientSteps = 8;  // of rows at a time

// Rows or columns.
struct GradientAxis {
  std::int64_t in, out, stride, pad;

  std::int64_t steps() const { return stride == 1 ? in : (in - 1 + pad) / 2 + 1; }
  // The first input of a step; one of a step's two may lie outside the image.
  std::int64_t first(std::int64_t step) const { return stride == 1 ? step : 2 * step - pad; }
  // The step's own output, and how many before it read the step's inputs, too; some lie outside.
  std::int64_t newest(std::int64_t step) const { return stride == 1 ? step + pad : step; }
  std::int64_t older() const { return stride == 1 ? 2 : 1; }
  std::int64_t oldest(std::int64_t step) const { return newest(step) - older(); }

  // Whether the steps see all outputs.
  bool fits() const {
    return in > 0 && out > 0 && pad >= 0 && pad <= 2 && (stride == 1 || stride == 2) &&
           (out - 1) * stride - pad < in;
  }
};

struct GradientAxes {
  GradientAxis rows, columns;

  explicit GradientAxes(const ConvShape& shape)
      : rows{shape.in_h, shape.out_h, shape.window.stride_h, shape.window.pad_top},
        columns{shape.in_w, shape.out_w, shape.window.stride_w, shape.window.pad_left} {}

  // Steps of rows at a time: of narrow images several, so that a channel's weights and sums are fetched once
  // for many pixels.
  std::int64_t steps_each() const {
    return std::clamp<std::int64_t>(64 / columns.steps(), 1, kMaxGradientSteps);
  }
  std::int64_t ring_columns() const { return columns.steps() + columns.older(); }
  std::int64_t ring_rows() const { return rows.older() + steps_each(); }
};

// A task's part of the work, and where its sums go.
struct GradientTask {
  std::int64_t image_begin, image_end, step_begin, step_end;  // steps: of rows
  std::int64_t channel_begin, channel_end;
  std::int64_t sums;
};

// How the work is cut, by shape alone: some images, a band of their rows and, where there would be few tasks,
// a piece of their channels. Sums of images and bands lie apart, and those of all pieces together.
class GradientTasks {
 public:
  explicit GradientTasks(const ConvShape& shape)
      : images_(shape.batch, ceil_div(shape.batch, kImageBlocks), 1),
        bands_(GradientAxes(shape).rows.steps(), kBandRows, 1),
        pieces_(shape.in_c, sums() < kFewTasks ? kPieceSize : shape.in_c, kMultiple) {}

  std::int64_t count() const { return sums() * pieces_.count; }
  std::int64_t sums() const { return images_.count * bands_.count; }

  GradientTask operator[](std::int64_t index) const {
    const std::int64_t piece = index % pieces_.count, sums = index / pieces_.count;
    const std::int64_t band = sums % bands_.count, images = sums / bands_.count;
    return {images_.begin(images),
            images_.end(images),
            bands_.begin(band),
            bands_.end(band),
            pieces_.begin(piece),
            pieces_.end(piece),
            sums};
  }

 private:
  static constexpr std::int64_t kImageBlocks = 32;
  static constexpr std::int64_t kBandRows = 28;  // the outputs above a band's first rows are made anew
  static constexpr std::int64_t kFewTasks = 16;
  static constexpr std::int64_t kPieceSize = 192;
  static constexpr std::int64_t kMultiple = 64;  // of channels: cache lines belong to one task

  Blocks images_, bands_, pieces_;
};

// From one kind of sum to the next: room for whole vectors.
constexpr std::int64_t gradient_sums_tap(std::int64_t channels) { return round_up(channels, 64); }

// One worker's memory.
struct GradientRing {
  float* g;  // ring_rows() rows of [channels, ring_columns()], vector by vector, and one of zeros
  float* x;  // x behind the prologue, where there is one: the rows of steps_each() steps
};

}  // namespace pila::kernels::cpu
