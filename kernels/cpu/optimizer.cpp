#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/optimizer.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/simd.h"

#ifndef PILA_KERNELS_CPU_ADAM_FACTORS_
#define PILA_KERNELS_CPU_ADAM_FACTORS_
namespace pila::kernels::cpu {

// The numbers of one step that all elements of a parameter share.
struct AdamFactors {
  float gradient_scale;
  float decay;        // weight_decay * rate
  float first_gain;   // 1 - beta1
  float second_gain;  // 1 - beta2
  float rate;         // with the bias corrections
  float epsilon;
};

}  // namespace pila::kernels::cpu
#endif  // PILA_KERNELS_CPU_ADAM_FACTORS_

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

HWY_INLINE void adam_vector(const AdamFactors& factors, FloatVector& w, FloatVector g, FloatVector& m,
                            FloatVector& v) {
  const FloatTag d;
  g = hn::Mul(g, hn::Set(d, factors.gradient_scale));
  m = hn::MulAdd(hn::Sub(g, m), hn::Set(d, factors.first_gain), m);
  v = hn::MulAdd(hn::Sub(hn::Mul(g, g), v), hn::Set(d, factors.second_gain), v);
  const auto step =
      hn::Div(hn::Mul(m, hn::Set(d, factors.rate)), hn::Add(hn::Sqrt(v), hn::Set(d, factors.epsilon)));
  w = hn::Sub(w, hn::MulAdd(w, hn::Set(d, factors.decay), step));  // rounds the small change, then once more
}

void adam_range(const AdamFactors& factors, float* w, const float* g, float* m, float* v, std::size_t count) {
  const FloatTag d;
  std::size_t i = 0;
  for (; i + kFloatLanes <= count; i += kFloatLanes) {
    auto parameter = hn::LoadU(d, w + i), first = hn::LoadU(d, m + i), second = hn::LoadU(d, v + i);
    adam_vector(factors, parameter, hn::LoadU(d, g + i), first, second);
    hn::StoreU(parameter, d, w + i);
    hn::StoreU(first, d, m + i);
    hn::StoreU(second, d, v + i);
  }
  if (i == count) return;
  const std::size_t rest = count - i;
  auto parameter = load_partial(d, w + i, rest);
  auto first = load_partial(d, m + i, rest), second = load_partial(d, v + i, rest);
  adam_vector(factors, parameter, load_partial(d, g + i, rest), first, second);
  store_partial(parameter, d, w + i, rest);
  store_partial(first, d, m + i, rest);
  store_partial(second, d, v + i, rest);
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <algorithm>
#include <cmath>

#include "kernels/cpu/families.h"
#include "kernels/cpu/pieces.h"

namespace pila::kernels::cpu {
namespace {

HWY_EXPORT(adam_range);

AdamFactors factors_of(const Adam& args, const AdamSegment& segment) {
  const auto t = static_cast<double>(*args.step);
  const double rate = static_cast<double>(*static_cast<const float*>(args.rate)) * segment.rate_factor;
  const double correction = std::sqrt(1 - std::pow(args.beta2, t)) / (1 - std::pow(args.beta1, t));
  return {args.gradient_scale == nullptr ? 1.0f : *static_cast<const float*>(args.gradient_scale),
          static_cast<float>(segment.weight_decay * rate),
          static_cast<float>(1 - args.beta1),
          static_cast<float>(1 - args.beta2),
          static_cast<float>(rate * correction),
          static_cast<float>(args.epsilon)};
}

// Where each segment begins when all are laid end to end, and where the last one ends.
std::size_t workspace(const Adam& args, const Stream&) {
  return static_cast<std::size_t>(args.segment_count + 1) * sizeof(std::int64_t);
}

// The segments end to end are one long range, cut into pieces regardless of where one begins: small
// parameters share a piece, large ones are spread over the threads.
Status run(const Adam& args, const Launch& launch) {
  auto* begins = static_cast<std::int64_t*>(launch.workspace);
  begins[0] = 0;
  for (std::int64_t i = 0; i < args.segment_count; ++i) begins[i + 1] = begins[i] + args.segments[i].count;
  const std::int64_t* ends = begins + 1;
  const auto function = HWY_DYNAMIC_DISPATCH(adam_range);
  run_pieces(pool_of(*launch.stream), begins[args.segment_count], kPiece,
             [&](std::int64_t begin, std::int64_t end) {
               auto index = std::upper_bound(ends, ends + args.segment_count, begin) - ends;
               for (; begin < end; ++index) {
                 const AdamSegment& segment = args.segments[index];
                 const std::int64_t from = begin - begins[index];
                 const std::int64_t count = std::min(end, ends[index]) - begin;
                 function(factors_of(args, segment), static_cast<float*>(segment.parameter) + from,
                          static_cast<const float*>(segment.gradient) + from,
                          static_cast<float*>(segment.first_moment) + from,
                          static_cast<float*>(segment.second_moment) + from, static_cast<std::size_t>(count));
                 begin += count;
               }
             });
  return nullptr;
}

}  // namespace

void add_optimizer_kernels(KernelTable& table) {
  table.adam.add({"adam_f32", [](const Adam& args) { return args.type == DType::f32; }, workspace, run});
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
