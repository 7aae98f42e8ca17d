#include "kernels/cpu/gemm_tile.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/gemm_tile.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/cpu/bounds.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/simd_activation.h"

#define PILA_UNROLL _Pragma("GCC unroll 16")

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

constexpr int kLanes = static_cast<int>(kFloatLanes);

// Sums, one vector of each row of b and a broadcast element of a must fit the registers: 14 x 2 or 6 x 4 in
// 32 of them, 6 x 2 in 16.
#if HWY_TARGET == HWY_AVX3 || HWY_ARCH_ARM_A64
constexpr int kTallRows = 14;
constexpr int kWideRows = 6;
#else
constexpr int kTallRows = 6;
constexpr int kWideRows = 0;
#endif

template <int kRows, int kVectors>
struct Sums {
  FloatVector at[kRows][kVectors];

  HWY_INLINE void clear() {
    PILA_UNROLL for (int r = 0; r < kRows; ++r) {
      PILA_UNROLL for (int v = 0; v < kVectors; ++v) at[r][v] = hn::Zero(FloatTag());
    }
  }

  // Adds the outer product of one column of a and one row of b.
  template <class Element>
  HWY_INLINE void add(const Element& a, const float* HWY_RESTRICT b) {
    FloatVector row[kVectors];
    PILA_UNROLL for (int v = 0; v < kVectors; ++v) row[v] = load_factor(b + v * kLanes);
    PILA_UNROLL for (int r = 0; r < kRows; ++r) {
      const FloatVector element = broadcast_factor(a(r));
      PILA_UNROLL for (int v = 0; v < kVectors; ++v) at[r][v] = add_product(element, row[v], at[r][v]);
    }
  }

  // Replaces each real sum by op(sum, its offset in c, its vector's number).
  template <class Op>
  HWY_INLINE void each(const TileOutput& out, const Op& op) {
    PILA_UNROLL for (int r = 0; r < kRows; ++r) {
      if (r < out.rows) {
        PILA_UNROLL for (int v = 0; v < kVectors; ++v) at[r][v] =
            op(at[r][v], out.offsets[r] + v * kLanes, v);
      }
    }
  }

  HWY_INLINE void finish(const TileOutput& out) {
    const FloatTag d;
    const int tail = out.columns - (kVectors - 1) * kLanes;  // columns in the last vector
    const bool whole = tail == kLanes;
    const auto load = [&](const float* from, int v) {
      return whole || v < kVectors - 1 ? hn::LoadU(d, from)
                                       : load_partial(d, from, static_cast<std::size_t>(tail));
    };
    if (out.accumulate) {
      each(out, [&](FloatVector sum, std::int64_t offset, int v) {
        return hn::Add(load(out.c + offset, v), sum);
      });
    }
    if (out.bias != nullptr) {
      FloatVector bias[kVectors];
      PILA_UNROLL for (int v = 0; v < kVectors; ++v) bias[v] = load(out.bias + v * kLanes, v);
      PILA_UNROLL for (int r = 0; r < kRows; ++r) {
        PILA_UNROLL for (int v = 0; v < kVectors; ++v) at[r][v] = hn::Add(at[r][v], bias[v]);
      }
    }
    const Bounds bounds(out.activation);
    if (out.activation != Activation::none && !bounds.smooth) {
      const auto low = hn::Set(d, bounds.low), high = hn::Set(d, bounds.high);
      PILA_UNROLL for (int r = 0; r < kRows; ++r) {
        PILA_UNROLL for (int v = 0; v < kVectors; ++v) at[r][v] = clamp(low, high, at[r][v]);
      }
    }
    if (out.residual != nullptr && !bounds.smooth) {
      each(out, [&](FloatVector sum, std::int64_t offset, int v) {
        return hn::Add(sum, load(out.residual + offset, v));
      });
    }
    each(out, [&](FloatVector sum, std::int64_t offset, int v) {
      if (out.streamed) {
        hn::Stream(sum, d, out.c + offset);
      } else if (whole || v < kVectors - 1) {
        hn::StoreU(sum, d, out.c + offset);
      } else {
        store_partial(sum, d, out.c + offset, static_cast<std::size_t>(tail));
      }
      return sum;
    });
    if (bounds.smooth) smooth_epilogue(out);
  }

  // Activations with an exponential would bloat every tile: they take a second look at the stored sums.
  static void smooth_epilogue(const TileOutput& out);
};

HWY_NOINLINE void apply_smooth_epilogue(const TileOutput& out) {
  const FloatTag d;
  for (int r = 0; r < out.rows; ++r) {
    for (int j = 0; j < out.columns; j += kLanes) {
      const auto count = static_cast<std::size_t>(HWY_MIN(kLanes, out.columns - j));
      float* c = out.c + out.offsets[r] + j;
      FloatVector y = activate(d, out.activation, load_partial(d, c, count));
      if (out.residual != nullptr) y = hn::Add(y, load_partial(d, out.residual + out.offsets[r] + j, count));
      store_partial(y, d, c, count);
    }
  }
}

template <int kRows, int kVectors>
void Sums<kRows, kVectors>::smooth_epilogue(const TileOutput& out) {
  apply_smooth_epilogue(out);
}

constexpr int kStep = 2;  // values of k in one turn of a kernel's loop; with more, compilers spill the sums

// Walks over what is to be read next.
class Ahead {
 public:
  explicit Ahead(const TileOutput& out)
      : at_(reinterpret_cast<std::uintptr_t>(out.ahead)), step_(4 * out.ahead_step) {}
  HWY_INLINE void fetch() {
    __builtin_prefetch(reinterpret_cast<const void*>(at_), 0, 2);
    at_ += static_cast<std::uintptr_t>(step_);
  }

 private:
  std::uintptr_t at_;
  std::int64_t step_;
};

template <int kRows, int kVectors>
void row_tile(const float* const* rows, std::int64_t taps, std::int64_t depth, const float* b,
              std::int64_t b_stride, const TileOutput& out) {
  Sums<kRows, kVectors> sums;
  sums.clear();
  Ahead ahead(out);
  for (std::int64_t tap = 0; tap < taps; ++tap, rows += kRows) {
    const float* a[kRows];
    PILA_UNROLL for (int r = 0; r < kRows; ++r) a[r] = rows[r];
    std::int64_t p = 0;
    for (; p + kStep <= depth; p += kStep) {
      PILA_UNROLL for (int step = 0; step < kStep; ++step, b += b_stride) {
        ahead.fetch();
        sums.add([&](int r) { return a[r] + p + step; }, b);
      }
    }
    for (; p < depth; ++p, b += b_stride) sums.add([&](int r) { return a[r] + p; }, b);
  }
  sums.finish(out);
}

template <int kRows, int kVectors>
void column_tile(const float* a, std::int64_t a_stride, std::int64_t depth, const float* b,
                 std::int64_t b_stride, const TileOutput& out) {
  Sums<kRows, kVectors> sums;
  sums.clear();
  Ahead ahead(out);
  std::int64_t p = 0;
  for (; p + kStep <= depth; p += kStep) {
    PILA_UNROLL for (int step = 0; step < kStep; ++step, a += a_stride, b += b_stride) {
      ahead.fetch();
      sums.add([&](int r) { return a + r; }, b);
    }
  }
  for (; p < depth; ++p, a += a_stride, b += b_stride) sums.add([&](int r) { return a + r; }, b);
  sums.finish(out);
}

// Rows of kVectors whole vectors.
template <int kVectors>
void pack_whole(const float* b, std::int64_t b_stride, std::int64_t k, float* out, std::int64_t out_stride) {
  const FloatTag d;
  for (std::int64_t p = 0; p < k; ++p, b += b_stride, out += out_stride) {
    PILA_UNROLL for (int v = 0; v < kVectors; ++v) {
      hn::StoreU(hn::LoadU(d, b + v * kLanes), d, out + v * kLanes);
    }
  }
}

void pack(const float* b, std::int64_t b_stride, std::int64_t k, int columns, int width, float* out,
          std::int64_t out_stride) {
  const FloatTag d;
  if (columns == width && width == 2 * kLanes) return pack_whole<2>(b, b_stride, k, out, out_stride);
  if (columns == width && width == 4 * kLanes) return pack_whole<4>(b, b_stride, k, out, out_stride);
  for (int j = 0; j < width; j += kLanes) {
    const auto real = static_cast<std::size_t>(HWY_MAX(0, HWY_MIN(kLanes, columns - j)));
    const auto all = static_cast<std::size_t>(HWY_MIN(kLanes, width - j));
    for (std::int64_t p = 0; p < k; ++p) {
      const FloatVector row = load_partial(d, b + p * b_stride + j, real);
      store_partial(row, d, out + p * out_stride + j, all);
    }
  }
}

void pack_transposed(const float* b, std::int64_t b_stride, std::int64_t k, int columns, int width,
                     float* out) {
  constexpr int kBlock = 16;  // columns at a time, so that their lines stay in the first cache
  for (int j0 = 0; j0 < width; j0 += kBlock) {
    const int real = HWY_MAX(0, HWY_MIN(kBlock, columns - j0));
    const int all = HWY_MIN(kBlock, width - j0);
    for (std::int64_t p = 0; p < k; ++p) {
      float* to = out + p * width + j0;
      for (int j = 0; j < real; ++j) to[j] = b[(j0 + j) * b_stride + p];
      for (int j = real; j < all; ++j) to[j] = 0;
    }
  }
}

void sum_parts(const float* parts, std::int64_t stride, int count, std::int64_t size, float* y) {
  const FloatTag d;
  for (std::int64_t i = 0; i < size; i += kLanes) {
    const auto lanes = static_cast<std::size_t>(HWY_MIN(static_cast<std::int64_t>(kLanes), size - i));
    FloatVector sum = load_partial(d, parts + i, lanes);
    for (int s = 1; s < count; ++s) sum = hn::Add(sum, load_partial(d, parts + s * stride + i, lanes));
    store_partial(sum, d, y + i, lanes);
  }
}

template <int kVectors, int kMost>
constexpr void fill_rows(RowTileKernel* slots) {
  if constexpr (kMost >= 2) {
    slots[kMost / 2] = row_tile<kMost, kVectors>;
    fill_rows<kVectors, kMost - 2>(slots);
  } else {
    slots[0] = row_tile<1, kVectors>;
  }
}

template <int kVectors, int kMost>
constexpr void fill_columns(ColumnTileKernel* slots) {
  if constexpr (kMost >= 2) {
    slots[kMost / 2] = column_tile<kMost, kVectors>;
    fill_columns<kVectors, kMost - 2>(slots);
  } else {
    slots[0] = column_tile<1, kVectors>;
  }
}

TileKernels make_tile_kernels() {
  TileKernels kernels;
  kernels.lanes = kLanes;
  kernels.tall_rows = kTallRows;
  kernels.wide_rows = kWideRows;
  fill_rows<1, kTallRows>(kernels.row[0]);
  fill_rows<2, kTallRows>(kernels.row[1]);
  if constexpr (kWideRows > 0) {
    fill_rows<3, kWideRows>(kernels.row[2]);
    fill_rows<4, kWideRows>(kernels.row[3]);
  }
  fill_columns<1, kTallRows>(kernels.column[0]);
  fill_columns<2, kTallRows>(kernels.column[1]);
  kernels.pack = pack;
  kernels.pack_transposed = pack_transposed;
  kernels.sum_parts = sum_parts;
  return kernels;
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pila::kernels::cpu {
namespace {
HWY_EXPORT(make_tile_kernels);
}

const TileKernels& tile_kernels() {
  static const TileKernels kernels = HWY_DYNAMIC_DISPATCH(make_tile_kernels)();
  return kernels;
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
