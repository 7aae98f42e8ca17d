// An image's rows as a depthwise convolution reads them: where they lie or, where there is a prologue, in a
// ring of a few rows that are normalised just before they are wanted, and so never leave the cache.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/args/conv.h"
#include "kernels/cpu/ahead.h"
#include "kernels/cpu/normalise.h"

namespace pila::kernels::cpu {

class ImageRows {
 public:
  // Numbers in one worker's ring: room for the rows under two rows of outputs.
  static std::int64_t ring_size(const ConvShape& shape, const Prologue& prologue) {
    return prologue.scaling == nullptr ? 0 : ring_rows(shape) * shape.in_w * shape.in_c;
  }

  // Channels [begin, end) of an image. ring: null where there is no prologue.
  ImageRows(const ConvShape& shape, const float* image, const Prologue& prologue, float* ring,
            std::int64_t begin, std::int64_t end)
      : shape_(shape),
        image_(image),
        prologue_(prologue, shape.in_c),
        ring_(prologue_.exists() ? ring : nullptr),
        rows_(prologue_.exists() ? ring_rows(shape) : shape.in_h),
        begin_(begin),
        end_(end) {}

  // Makes the rows under output rows [oh, oh + count), count <= 2, readable; from top to bottom.
  void want(std::int64_t oh, std::int64_t count) {
    const std::int64_t top = oh * shape_.window.stride_h - shape_.window.pad_top;
    const std::int64_t bottom = std::min(top + extent(shape_, count), shape_.in_h);
    for (made_ = std::max(made_, top); made_ < bottom; ++made_) {
      if (ring_ == nullptr) continue;
      prologue_.run(image_ + made_ * row_size(), shape_.in_w, begin_, end_ - begin_,
                    ring_ + offset(made_) + begin_, shape_.in_c);
    }
  }

  // Of the image: what `count` more rows of outputs will read that those wanted did not; only where all
  // channels are read, in one stretch of memory.
  Ahead next(std::int64_t count) const {
    if (end_ - begin_ < shape_.in_c) return {};
    const std::int64_t last = std::min(made_ + count * shape_.window.stride_h, shape_.in_h);
    return {image_ + made_ * row_size(), image_ + last * row_size()};
  }

  // Row `ih` lies at base() + offset(ih).
  const float* base() const { return ring_ == nullptr ? image_ : ring_; }
  std::ptrdiff_t offset(std::int64_t ih) const { return ih % rows_ * row_size(); }

 private:
  static std::int64_t extent(const ConvShape& shape, std::int64_t count) {
    const Window& window = shape.window;
    return (count - 1) * window.stride_h + std::int64_t{window.kernel_h - 1} * window.dilation_h + 1;
  }
  static std::int64_t ring_rows(const ConvShape& shape) { return std::min(extent(shape, 2), shape.in_h); }

  std::int64_t row_size() const { return shape_.in_w * shape_.in_c; }

  const ConvShape& shape_;
  const float* const image_;
  const RowPrologue prologue_;
  float* const ring_;
  const std::int64_t rows_, begin_, end_;
  std::int64_t made_ = 0;  // the first row below those made
};

}  // namespace pila::kernels::cpu
