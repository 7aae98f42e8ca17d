// Batch normalisation of rows by numbers known beforehand, in memory or as a product reads them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/args/types.h"

namespace pila::kernels::cpu {

// (x - mean) * scale + offset, per channel.
struct ChannelScaling {
  const float* mean;
  const float* scale;
  const float* offset;

  // Those in `numbers`, [3, channels].
  static ChannelScaling in(const float* numbers, std::int64_t channels) {
    return {numbers, numbers + channels, numbers + 2 * channels};
  }
};

// Rows to normalise.
struct NormaliseRows {
  const float* x;
  float* y;
  std::size_t rows, channels;
  std::size_t x_row, y_row;  // from one row to the next
  ChannelScaling scaling;
  bool past_caches = false;  // how y is written
};

// y = activation((x - mean) * scale + offset).
void normalise(Activation activation, const NormaliseRows& rows);

// What a product's prologue does to its first factor, some rows at a time.
class RowPrologue {
 public:
  RowPrologue(const Prologue& prologue, std::int64_t channels)
      : scaling_(static_cast<const float*>(prologue.scaling)),
        channels_(channels),
        activation_(prologue.activation) {}

  bool exists() const { return scaling_ != nullptr; }

  // `count` channels from `first` on, of rows that lie without gaps at x; to y, `y_row` apart.
  void run(const float* x, std::int64_t rows, std::int64_t first, std::int64_t count, float* y,
           std::int64_t y_row) const {
    normalise(activation_, {x + first, y, static_cast<std::size_t>(rows), static_cast<std::size_t>(count),
                            static_cast<std::size_t>(channels_), static_cast<std::size_t>(y_row),
                            ChannelScaling::in(scaling_ + first, channels_)});
  }

 private:
  const float* scaling_;
  std::int64_t channels_;
  Activation activation_;
};

}  // namespace pila::kernels::cpu
