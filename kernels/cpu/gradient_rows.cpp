#include "kernels/cpu/gradient_rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/gradient_rows.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstddef>

#include "kernels/cpu/activation_gradient.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/simd_lanes.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

constexpr auto kLanesOfRow = static_cast<std::int64_t>(kFloatLanes);

// kVectors vectors of columns from column j on.
template <Activation kKind, int kVectors, class From, class To>
HWY_INLINE void gradient_columns(const GradientRows& args, std::int64_t j, From from, To to) {
  const FloatTag d;
  FloatVector sums[kVectors];
  PILA_UNROLL for (int v = 0; v < kVectors; ++v) sums[v] = hn::Zero(d);
  for (std::int64_t row = 0; row < args.rows; ++row) {
    const std::int64_t at = row * args.n + j;
    PILA_UNROLL for (int v = 0; v < kVectors; ++v) {
      FloatVector g = from.load(args.dc + at + v * kLanesOfRow);
      if constexpr (kKind != Activation::none) {
        g = gradient_from_kept<kKind>(d, from.load(args.c + at + v * kLanesOfRow), g);
        to.store(g, args.g + row * args.g_row + j + v * kLanesOfRow);
      }
      sums[v] = hn::Add(sums[v], g);
    }
  }
  if (args.sums == nullptr) return;
  HWY_ALIGN float here[kVectors * kFloatLanes];
  PILA_UNROLL for (int v = 0; v < kVectors; ++v) hn::Store(sums[v], d, here + v * kLanesOfRow);
  const std::int64_t count = std::min(kVectors * kLanesOfRow, args.n - j);
  for (std::int64_t i = 0; i < count; ++i) args.sums[j + i] += static_cast<double>(here[i]);
}

template <Activation kKind>
void gradient_of(const GradientRows& args) {
  constexpr int kVectors = 4;
  std::int64_t j = 0;
  for (; j + kVectors * kLanesOfRow <= args.n; j += kVectors * kLanesOfRow) {
    gradient_columns<kKind, kVectors>(args, j, AllLanes(), AllLanes());
  }
  for (; j + kLanesOfRow <= args.n; j += kLanesOfRow) {
    gradient_columns<kKind, 1>(args, j, AllLanes(), AllLanes());
  }
  if (j == args.n) return;
  const FirstLanes rest{static_cast<std::size_t>(args.n - j)};
  if (j + kLanesOfRow <= args.g_row) {
    gradient_columns<kKind, 1>(args, j, rest, AllLanes());
  } else {
    gradient_columns<kKind, 1>(args, j, rest, rest);
  }
}

void gradient_rows(const GradientRows& args) {
  switch (args.activation) {
    case Activation::relu:
      return gradient_of<Activation::relu>(args);
    case Activation::relu6:
      return gradient_of<Activation::relu6>(args);
    case Activation::sigmoid:
      return gradient_of<Activation::sigmoid>(args);
    case Activation::none:
    case Activation::silu:
      return gradient_of<Activation::none>(args);
  }
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pila::kernels::cpu {
namespace {
HWY_EXPORT(gradient_rows);
}

void gradient_rows(const GradientRows& args) { HWY_DYNAMIC_DISPATCH(gradient_rows)(args); }

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
