// Products of rows with panels, of any kind of elements: what product_panel_*.cpp compile for one kind each,
// since that takes long. Included like simd.h.

#if defined(PILA_KERNELS_CPU_PRODUCT_PANEL_TILES_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef PILA_KERNELS_CPU_PRODUCT_PANEL_TILES_H_
#undef PILA_KERNELS_CPU_PRODUCT_PANEL_TILES_H_
#else
#define PILA_KERNELS_CPU_PRODUCT_PANEL_TILES_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels/cpu/bounds.h"
#include "kernels/cpu/product_tile.h"
#include "kernels/cpu/simd_activation.h"
#include "kernels/cpu/tiled_product.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

constexpr auto kLanes = static_cast<std::int64_t>(kFloatLanes);

// An activation with an exponential takes a second look at y: it would bloat every tile.
inline HWY_NOINLINE void finish_smoothly(const PanelOutput& out, std::int64_t rows) {
  const FloatTag d;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < out.columns; c += kLanes) {
      const std::int64_t at = r * out.row + c;
      const auto count = static_cast<std::size_t>(HWY_MIN(kLanes, out.columns - c));
      auto v = activate(d, out.activation, load_partial(d, out.y + at, count));
      if (out.residual != nullptr) v = hn::Add(v, load_partial(d, out.residual + at, count));
      store_partial(v, d, out.y + at, count);
    }
  }
}

// k in blocks whose part of the panel stays in the first cache for all rows.
template <class Element>
struct DepthBlocks {
  DepthBlocks(const TileRows<Element>& all, int vectors)
      : a(all), split(a.slices > 1 ? a.slices : a.depth, most(a.slices > 1 ? a.depth : 1, vectors)) {}

  std::int64_t count() const { return HWY_MAX(split.count, 1); }
  std::int64_t begin(std::int64_t block) const { return split.begin(block) * (a.slices > 1 ? a.depth : 1); }

  // The block's part of the rows from `row` on.
  TileRows<Element> rows(std::int64_t block, std::int64_t row) const {
    const Element* from = a.data + row * a.row;
    const std::int64_t first = split.begin(block), size = split.size(block);
    if (a.slices > 1) return {from + first * a.slice, a.row, a.slice, size, a.depth};
    return {from + first, a.row, a.slice, 1, size};
  }

  const TileRows<Element> a;
  const Split split;

 private:
  static std::int64_t most(std::int64_t unit, int vectors) {
    constexpr std::int64_t kSize = 7680;  // 30 KiB
    return HWY_MAX(kSize / (unit * vectors * kLanes), 1);
  }
};

// How a panel's columns lie in y, the last vector of which may be short.
template <int kVectors>
struct PanelColumns {
  explicit PanelColumns(std::int64_t columns)
      : tail(static_cast<std::size_t>(columns - (kVectors - 1) * kLanes)) {}
  bool whole(int v) const { return v < kVectors - 1 || tail == kFloatLanes; }
  HWY_INLINE FloatVector load(const float* from, int v) const {
    return whole(v) ? hn::LoadU(FloatTag(), from) : load_partial(FloatTag(), from, tail);
  }
  HWY_INLINE void store(FloatVector sum, float* to, int v) const {
    whole(v) ? hn::StoreU(sum, FloatTag(), to) : store_partial(sum, FloatTag(), to, tail);
  }

  const std::size_t tail;
};

template <class Step>
using RowsOf = TileRows<typename Step::Element>;
template <class Step>
using PanelOf = TilePanel<typename Step::Element>;

template <class Step, int kVectors, int kRowStep>
void multiply_rows(std::int64_t rows, const RowsOf<Step>& a, const PanelOf<Step>& panel,
                   const PanelOutput& out, const Ahead& ahead) {
  const PanelColumns<kVectors> columns(out.columns);
  const Bounds bounds(out.activation);
  const bool clamps = out.activation != Activation::none && !bounds.smooth;
  const auto low = hn::Set(FloatTag(), bounds.low), high = hn::Set(FloatTag(), bounds.high);
  const DepthBlocks blocks(a, kVectors);
  const PanelHead<Step, kVectors> head(panel.head);
  for (std::int64_t block = 0; block < blocks.count(); ++block) {
    const auto* b = panel.b + blocks.begin(block) * kVectors * kLanes;
    const Ahead wanted = ahead.share(block, 1, blocks.count());
    const bool last = block + 1 == blocks.count();
    for_tiles<kVectors>(rows, [&](auto height, std::int64_t first) {
      constexpr int kRows = height;
      float* const y = out.y + first * out.row;
      const auto start = [&](int r, int v) {
        return block > 0 ? Step::kept(columns.load(y + r * out.row + v * kLanes, v)) : head(r, v);
      };
      const auto finish = [=](int r, int v, typename Step::Sum sum) {
        const std::ptrdiff_t at = r * out.row + v * kLanes;
        if (!last) return columns.store(Step::keep(sum), y + at, v);
        auto number = head.number(sum, v);
        if (clamps) number = clamp(low, high, number);
        if (out.residual != nullptr && !bounds.smooth) {
          number = hn::Add(number, columns.load(out.residual + first * out.row + at, v));
        }
        columns.store(number, y + at, v);
      };
      product_tile<Step, kRows, kVectors, kRowStep>(blocks.rows(block, first), b,
                                                    wanted.share(first, kRows, rows), start, finish);
    });
  }
  if (bounds.smooth) finish_smoothly(out, rows);
}

// The same for a folded panel: two sums of a column stand side by side.
template <class Step, int kVectors, int kRowStep>
void multiply_folded_rows(std::int64_t rows, const RowsOf<Step>& a, const PanelOf<Step>& panel,
                          const PanelOutput& out, const Ahead& ahead) {
  constexpr int kOutVectors = (kVectors + 1) / 2;
  const FloatTag d;
  const hn::DFromV<typename Step::Sum> tag;
  const PanelColumns<kOutVectors> columns(out.columns);
  const Bounds bounds(out.activation);
  const auto low = hn::Set(d, bounds.low), high = hn::Set(d, bounds.high);
  const PanelHead<Step, kVectors> head(panel.head);
  for_tiles<kVectors>(rows, [&](auto height, std::int64_t first) {
    constexpr int kRows = height;
    auto from = a;
    from.data += first * a.row;
    auto left = hn::Zero(tag);
    product_tile<Folded<Step>, kRows, kVectors, kRowStep>(
        from, panel.b, ahead.share(first, kRows, rows), head,
        [=](int r, int v, typename Step::Sum right) mutable {
          if (v % 2 == 0) {
            left = right;
            if (v + 1 < kVectors) return;
            right = hn::Zero(tag);
          }
          const auto sum = hn::Add(hn::ConcatEven(tag, right, left), hn::ConcatOdd(tag, right, left));
          auto number = clamp(low, high, head.number(sum, v / 2));
          const std::ptrdiff_t at = (first + r) * out.row + v / 2 * kLanes;
          if (out.residual != nullptr && !bounds.smooth) {
            number = hn::Add(number, columns.load(out.residual + at, v / 2));
          }
          columns.store(number, out.y + at, v / 2);
        });
  });
  if (bounds.smooth) finish_smoothly(out, rows);
}

template <class Step, int kRowStep>
void multiply_folded(int vectors, std::int64_t rows, const RowsOf<Step>& a, const PanelOf<Step>& panel,
                     const PanelOutput& out, const Ahead& ahead) {
  with_constant<kMaxVectors>(vectors, [&](auto constant) {
    multiply_folded_rows<Step, constant, kRowStep>(rows, a, panel, out, ahead);
  });
}

template <class Step, int kRowStep>
void multiply(int vectors, std::int64_t rows, const RowsOf<Step>& a, const PanelOf<Step>& panel,
              const PanelOutput& out, const Ahead& ahead) {
  with_constant<kMaxVectors>(
      vectors, [&](auto constant) { multiply_rows<Step, constant, kRowStep>(rows, a, panel, out, ahead); });
}

// y, [columns], gets totals over rows.
template <int kVectors>
void store_means(const FloatVector* totals, std::int64_t rows, std::int64_t columns, float* y) {
  const FloatTag d;
  for (std::int64_t v = 0; v < kVectors; ++v) {
    const auto count = static_cast<std::size_t>(HWY_MIN(kLanes, HWY_MAX(columns - v * kLanes, 0)));
    store_partial(hn::Div(totals[v], hn::Set(d, static_cast<float>(rows))), d, y + v * kLanes, count);
  }
}

template <class Step, int kRowStep>
void pool(std::int64_t rows, const RowsOf<Step>& a, const PanelOf<Step>& panel, Activation activation,
          std::int64_t columns, float* y, const Ahead& ahead) {
  constexpr int kVectors = kPoolVectors;
  constexpr std::int64_t kGroup = 56;  // rows whose sums wait for the next block of k
  constexpr std::int64_t kWidth = kVectors * kLanes;
  const FloatTag d;
  const Bounds bounds(activation);
  const auto low = hn::Set(d, bounds.low), high = hn::Set(d, bounds.high);
  const DepthBlocks blocks(a, kVectors);
  const PanelHead<Step, kVectors> head(panel.head);
  HWY_ALIGN float sums[kGroup * kWidth];
  FloatVector totals[kVectors];
  for (int v = 0; v < kVectors; ++v) totals[v] = hn::Zero(d);
  for (std::int64_t group = 0; group < rows; group += kGroup) {
    const std::int64_t size = HWY_MIN(kGroup, rows - group);
    for (std::int64_t block = 0; block < blocks.count(); ++block) {
      const auto* b = panel.b + blocks.begin(block) * kWidth;
      const Ahead wanted = ahead.share(group, size, rows).share(block, 1, blocks.count());
      for_tiles<kVectors>(size, [&](auto height, std::int64_t first) {
        constexpr int kRows = height;
        float* const at = sums + first * kWidth;
        product_tile<Step, kRows, kVectors, kRowStep>(
            blocks.rows(block, group + first), b, wanted.share(first, kRows, size),
            [&](int r, int v) {
              return block > 0 ? Step::kept(hn::LoadU(d, at + r * kWidth + v * kLanes)) : head(r, v);
            },
            [&](int r, int v, typename Step::Sum sum) {
              hn::StoreU(Step::keep(sum), d, at + r * kWidth + v * kLanes);
            });
      });
    }
    for (std::int64_t r = 0; r < size; ++r) {
      for (int v = 0; v < kVectors; ++v) {
        const auto sum = head.number(Step::kept(hn::LoadU(d, sums + r * kWidth + v * kLanes)), v);
        totals[v] = hn::Add(totals[v], bounds.smooth ? activate(d, activation, sum) : clamp(low, high, sum));
      }
    }
  }
  store_means<kVectors>(totals, rows, columns, y);
}

// Elements that are rounded are laid out in planes.
template <class Step>
PanelKernels<typename Step::Element> make_panel_kernels() {
  using Element = typename Step::Element;
  constexpr int kPlane = kLanes / kElement<Element>.values;
  if constexpr (std::is_same_v<Element, float>) {
    return {multiply<Step, 0>, multiply<Step, kPlane>, multiply_folded<Step, 0>,
            multiply_folded<Step, kPlane>, pool<Step, 0>};
  } else {
    return {nullptr, multiply<Step, kPlane>, nullptr, multiply_folded<Step, kPlane>, pool<Step, kPlane>};
  }
}

#if PILA_MATRIX_UNIT

// Where sums of rows of y go.
template <class Step, int kVectors>
struct TiledRows {
  void begin(std::int64_t first, std::int64_t) {
    y = out.y + first * out.row;
    residual = out.residual == nullptr || smooth ? nullptr : out.residual + first * out.row;
  }
  HWY_INLINE void operator()(int r, int v, typename Step::Sum sum) const {
    const std::ptrdiff_t at = r * out.row + v * kLanes;
    auto number = clamp(low, high, head.number_from_zero(sum, v));
    if (residual != nullptr) number = hn::Add(number, columns.load(residual + at, v));
    columns.store(number, y + at, v);
  }

  const PanelOutput out;
  const PanelColumns<kVectors> columns;
  const PanelHead<Step, kVectors> head;
  const FloatVector low, high;
  const bool smooth;
  float* y = nullptr;
  const float* residual = nullptr;
};

template <class Step>
void multiply_tiled(int vectors, std::int64_t rows, const RowsOf<Step>& a, const PanelOf<Step>& panel,
                    const PanelOutput& out, const Ahead& ahead) {
  const Bounds bounds(out.activation);
  with_constant<kMaxVectors>(vectors, [&](auto constant) {
    tiled_product<Step, constant>(
        rows, a, panel.b, ahead,
        TiledRows<Step, constant>{out, PanelColumns<constant>(out.columns),
                                  PanelHead<Step, constant>(panel.head), hn::Set(FloatTag(), bounds.low),
                                  hn::Set(FloatTag(), bounds.high), bounds.smooth});
  });
  if (bounds.smooth) finish_smoothly(out, rows);
}

// The sums of what rows of y would be.
template <class Step>
struct TiledMean {
  void begin(std::int64_t, std::int64_t) {}
  HWY_INLINE void operator()(int, int v, typename Step::Sum sum) {
    const auto number = head.number_from_zero(sum, v);
    totals[v] =
        hn::Add(totals[v], smooth ? activate(FloatTag(), activation, number) : clamp(low, high, number));
  }

  const PanelHead<Step, kPoolVectors> head;
  const FloatVector low, high;
  const bool smooth;
  const Activation activation;
  FloatVector totals[kPoolVectors];
};

template <class Step>
void pool_tiled(std::int64_t rows, const RowsOf<Step>& a, const PanelOf<Step>& panel, Activation activation,
                std::int64_t columns, float* y, const Ahead& ahead) {
  const FloatTag d;
  const Bounds bounds(activation);
  const auto zero = hn::Zero(d);
  const auto mean =
      tiled_product<Step, kPoolVectors>(rows, a, panel.b, ahead,
                                        TiledMean<Step>{PanelHead<Step, kPoolVectors>(panel.head),
                                                        hn::Set(d, bounds.low),
                                                        hn::Set(d, bounds.high),
                                                        bounds.smooth,
                                                        activation,
                                                        {zero, zero, zero}});
  store_means<kPoolVectors>(mean.totals, rows, columns, y);
}

#endif

// Adds those of the matrix unit where there is one.
template <class Element>
void add_tiled([[maybe_unused]] PanelKernels<Element>& kernels) {
#if PILA_MATRIX_UNIT
  if (!has_matrix_unit()) return;
  kernels.multiply_tiled = multiply_tiled<TileStep<Element>>;
  kernels.pool_tiled = pool_tiled<TileStep<Element>>;
#endif
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // include guard
