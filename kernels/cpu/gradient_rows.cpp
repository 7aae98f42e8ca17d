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

using DoubleTag = hn::ScalableTag<double>;
constexpr std::size_t kDoubleLanes = hn::MaxLanes(DoubleTag());

template <Activation kKind>
struct Gradient {
  const GradientRows args;  // by value, so that they stay in registers

  // A vector of columns from column j on, in kRows rows from `row` on. Their sums are exact enough in
  // float32.
  template <int kRows, class From, class To>
  HWY_INLINE void at(std::int64_t row, std::size_t j, From from, To to) const {
    const FloatTag d;
    FloatVector sum = hn::Zero(d);
    PILA_UNROLL for (int r = 0; r < kRows; ++r) {
      const std::size_t index = static_cast<std::size_t>((row + r) * args.n) + j;
      FloatVector g = from.load(args.dc + index);
      if constexpr (kKind != Activation::none) {
        g = gradient_from_kept<kKind>(d, from.load(args.c + index), g);
        to.store(g, args.g + static_cast<std::size_t>((row + r) * args.g_row) + j);
      }
      sum = hn::Add(sum, g);
    }
    if (args.sums != nullptr) add(sum, j);
  }

  HWY_INLINE void add(FloatVector sum, std::size_t j) const {
    const DoubleTag d;
    HWY_ALIGN float here[kFloatLanes];
    hn::Store(sum, FloatTag(), here);
    const std::size_t count = std::min(kFloatLanes, static_cast<std::size_t>(args.n) - j);
    if (count < kFloatLanes) {
      for (std::size_t i = 0; i < count; ++i) args.sums[j + i] += static_cast<double>(here[i]);
      return;
    }
    PILA_UNROLL for (std::size_t i = 0; i < kFloatLanes; i += kDoubleLanes) {
      const auto more = hn::PromoteTo(d, hn::Load(hn::Rebind<float, DoubleTag>(), here + i));
      hn::StoreU(hn::Add(hn::LoadU(d, args.sums + j + i), more), d, args.sums + j + i);
    }
  }

  template <int kRows>
  HWY_INLINE void rows(std::int64_t row) const {
    const auto n = static_cast<std::size_t>(args.n), g_row = static_cast<std::size_t>(args.g_row);
    std::size_t j = 0;
    for (; j + kFloatLanes <= n; j += kFloatLanes) at<kRows>(row, j, AllLanes(), AllLanes());
    if (j == n) return;
    if (j + kFloatLanes <= g_row) {
      at<kRows>(row, j, FirstLanes{n - j}, AllLanes());
    } else {
      at<kRows>(row, j, FirstLanes{n - j}, FirstLanes{n - j});
    }
  }
};

template <Activation kKind>
void gradient_of(const GradientRows& args) {
  constexpr int kRows = 6;
  const Gradient<kKind> gradient{args};
  std::int64_t row = 0;
  for (; row + kRows <= args.rows; row += kRows) gradient.template rows<kRows>(row);
  for (; row < args.rows; ++row) gradient.template rows<1>(row);
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
