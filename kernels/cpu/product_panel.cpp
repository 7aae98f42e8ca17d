#include "kernels/cpu/product_panel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/product_panel.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/bounds.h"
#include "kernels/cpu/product_tile.h"
#include "kernels/cpu/simd_activation.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

constexpr auto kLanes = static_cast<std::int64_t>(kFloatLanes);

// An activation with an exponential takes a second look at y: it would bloat every tile.
HWY_NOINLINE void finish_smoothly(const PanelOutput& out, std::int64_t rows) {
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

template <int kVectors, int kRowStep>
void multiply_rows(std::int64_t rows, const TileRows<float>& a, const TilePanel<float>& panel,
                   const PanelOutput& out, const Ahead& ahead) {
  const auto tail = static_cast<std::size_t>(out.columns - (kVectors - 1) * kLanes);
  const Bounds bounds(out.activation);
  const bool clamps = out.activation != Activation::none && !bounds.smooth;
  const auto low = hn::Set(FloatTag(), bounds.low), high = hn::Set(FloatTag(), bounds.high);
  for_tiles<kVectors>(rows, [&](auto height, std::int64_t first) {
    constexpr int kRows = height;
    float* const y = out.y + first * out.row;
    const float* const residual =
        out.residual == nullptr || bounds.smooth ? nullptr : out.residual + first * out.row;
    TileRows<float> from = a;
    from.data += first * a.row;
    product_tile<FloatStep, kRows, kVectors, kRowStep>(
        from, panel, ahead.share(first, kRows, rows), [&](int r, int v, FloatVector sum) {
          const FloatTag d;
          const std::ptrdiff_t at = r * out.row + v * kLanes;
          if (clamps) sum = clamp(low, high, sum);
          if (v < kVectors - 1 || tail == kFloatLanes) {
            if (residual != nullptr) sum = hn::Add(sum, hn::LoadU(d, residual + at));
            hn::StoreU(sum, d, y + at);
          } else {
            if (residual != nullptr) sum = hn::Add(sum, load_partial(d, residual + at, tail));
            store_partial(sum, d, y + at, tail);
          }
        });
  });
  if (bounds.smooth) finish_smoothly(out, rows);
}

template <int kRowStep>
void multiply(int vectors, std::int64_t rows, const TileRows<float>& a, const TilePanel<float>& panel,
              const PanelOutput& out, const Ahead& ahead) {
  with_constant<kMaxVectors>(
      vectors, [&](auto constant) { multiply_rows<constant, kRowStep>(rows, a, panel, out, ahead); });
}

HWY_NOINLINE FloatVector activate_smoothly(Activation activation, FloatVector v) {
  return activate(FloatTag(), activation, v);
}

template <int kVectors>
void pool_rows(std::int64_t rows, const TileRows<float>& a, const TilePanel<float>& panel,
               Activation activation, std::int64_t columns, float* y, const Ahead& ahead) {
  const FloatTag d;
  const Bounds bounds(activation);
  const auto low = hn::Set(d, bounds.low), high = hn::Set(d, bounds.high);
  FloatVector totals[kVectors];
  for (int v = 0; v < kVectors; ++v) totals[v] = hn::Zero(d);
  for_tiles<kVectors>(rows, [&](auto height, std::int64_t first) {
    constexpr int kRows = height;
    TileRows<float> from = a;
    from.data += first * a.row;
    product_tile<FloatStep, kRows, kVectors, 0>(
        from, panel, ahead.share(first, kRows, rows), [&](int, int v, FloatVector sum) {
          sum = bounds.smooth ? activate_smoothly(activation, sum) : clamp(low, high, sum);
          totals[v] = hn::Add(totals[v], sum);
        });
  });
  for (std::int64_t v = 0; v < kVectors; ++v) {
    const auto count = static_cast<std::size_t>(HWY_MIN(kLanes, columns - v * kLanes));
    store_partial(hn::Div(totals[v], hn::Set(d, static_cast<float>(rows))), d, y + v * kLanes, count);
  }
}

void pool(int vectors, std::int64_t rows, const TileRows<float>& a, const TilePanel<float>& panel,
          Activation activation, std::int64_t columns, float* y, const Ahead& ahead) {
  with_constant<kMaxVectors>(
      vectors, [&](auto constant) { pool_rows<constant>(rows, a, panel, activation, columns, y, ahead); });
}

PanelKernels make_panel_kernels() {
  return {static_cast<int>(kLanes), kMaxVectors, multiply<0>, multiply<kFloatLanes>, pool};
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <algorithm>

#include "kernels/cpu/gemm_tile.h"

namespace pila::kernels::cpu {
namespace {
HWY_EXPORT(make_panel_kernels);
}

const PanelKernels& panel_kernels() {
  static const PanelKernels kernels = HWY_DYNAMIC_DISPATCH(make_panel_kernels)();
  return kernels;
}

float* pack_panel(const void* w, const void* bias, std::int64_t depth, std::int64_t columns,
                  std::int64_t column, std::int64_t width, float* to) {
  const auto pack = tile_kernels().pack;
  const auto real = static_cast<int>(std::min(width, columns - column)), all = static_cast<int>(width);
  if (bias == nullptr) {
    std::fill_n(to, width, 0.0f);
  } else {
    pack(static_cast<const float*>(bias) + column, columns, 1, real, all, to, width);
  }
  pack(static_cast<const float*>(w) + column, columns, depth, real, all, to + width, width);
  return to + (depth + 1) * width;
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
