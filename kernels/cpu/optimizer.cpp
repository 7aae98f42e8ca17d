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

// The sum of squares, in float64: the conversions cost nothing beside the memory's speed.
double squares_of(const float* x, std::size_t count) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> half;
  constexpr std::size_t lanes = hn::MaxLanes(d);
  auto sum0 = hn::Zero(d), sum1 = hn::Zero(d);
  std::size_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    const auto x0 = hn::PromoteTo(d, hn::LoadU(half, x + i));
    const auto x1 = hn::PromoteTo(d, hn::LoadU(half, x + i + lanes));
    sum0 = hn::MulAdd(x0, x0, sum0);
    sum1 = hn::MulAdd(x1, x1, sum1);
  }
  double sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(sum0, sum1)));
  for (; i < count; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

void blend_weights(float keep, float take, const float* value, float* average, std::size_t count) {
  const FloatTag d;
  const auto old_share = hn::Set(d, keep), new_share = hn::Set(d, take);
  std::size_t i = 0;
  for (; i + kFloatLanes <= count; i += kFloatLanes) {
    const auto taken = hn::Mul(hn::LoadU(d, value + i), new_share);
    hn::StoreU(hn::MulAdd(hn::LoadU(d, average + i), old_share, taken), d, average + i);
  }
  if (i == count) return;
  const auto taken = hn::Mul(load_partial(d, value + i, count - i), new_share);
  store_partial(hn::MulAdd(load_partial(d, average + i, count - i), old_share, taken), d, average + i,
                count - i);
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
HWY_EXPORT(squares_of);
HWY_EXPORT(blend_weights);

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

// Where each segment begins when all are laid end to end, and where the last one ends: one long range, cut
// into pieces regardless of where a segment begins. Small ones share a piece, large ones are spread over the
// threads.
class EndToEnd {
 public:
  template <class Args>
  static std::size_t bytes(const Args& args) {
    return static_cast<std::size_t>(args.segment_count + 1) * sizeof(std::int64_t);
  }

  template <class Args>
  EndToEnd(const Args& args, void* memory)
      : begins_(static_cast<std::int64_t*>(memory)), count_(args.segment_count) {
    begins_[0] = 0;
    for (std::int64_t i = 0; i < count_; ++i) begins_[i + 1] = begins_[i] + args.segments[i].count;
  }

  std::int64_t elements() const { return begins_[count_]; }

  // Calls body(segment, first element, number of elements) for the parts of [begin, end).
  template <class Body>
  void for_parts(std::int64_t begin, std::int64_t end, const Body& body) const {
    const std::int64_t* ends = begins_ + 1;
    for (auto index = std::upper_bound(ends, ends + count_, begin) - ends; begin < end; ++index) {
      const std::int64_t count = std::min(end, ends[index]) - begin;
      body(index, begin - begins_[index], static_cast<std::size_t>(count));
      begin += count;
    }
  }

 private:
  std::int64_t* begins_;
  std::int64_t count_;
};

template <class Args>
std::size_t workspace_for_segments(const Args& args, const Stream&) {
  return EndToEnd::bytes(args);
}

Status run_adam(const Adam& args, const Launch& launch) {
  if (args.gradient_scale != nullptr && std::isnan(*static_cast<const float*>(args.gradient_scale))) {
    return nullptr;
  }
  const EndToEnd all(args, launch.workspace);
  const double momentum = args.momentum == nullptr ? 0 : *args.momentum;
  const auto keep = static_cast<float>(momentum), take = static_cast<float>(1 - momentum);
  const auto update = HWY_DYNAMIC_DISPATCH(adam_range);
  const auto blend = HWY_DYNAMIC_DISPATCH(blend_weights);
  run_pieces(pool_of(*launch.stream), all.elements(), kPiece, [&](std::int64_t begin, std::int64_t end) {
    all.for_parts(begin, end, [&](std::int64_t index, std::int64_t from, std::size_t count) {
      const AdamSegment& segment = args.segments[index];
      float* parameter = static_cast<float*>(segment.parameter) + from;
      update(factors_of(args, segment), parameter, static_cast<const float*>(segment.gradient) + from,
             static_cast<float*>(segment.first_moment) + from,
             static_cast<float*>(segment.second_moment) + from, count);
      if (segment.average == nullptr) return;
      blend(keep, take, parameter, static_cast<float*>(segment.average) + from, count);  // still in the cache
    });
  });
  return nullptr;
}

// The segments' places, and a sum for each piece.
std::size_t workspace_for_norm(const GradientNorm& args, const Stream&) {
  std::int64_t elements = 0;
  for (std::int64_t i = 0; i < args.segment_count; ++i) elements += args.segments[i].count;
  return EndToEnd::bytes(args) + static_cast<std::size_t>(pieces_of(elements, kPiece)) * sizeof(double);
}

Status run_norm(const GradientNorm& args, const Launch& launch) {
  const EndToEnd all(args, launch.workspace);
  auto* sums = reinterpret_cast<double*>(static_cast<std::byte*>(launch.workspace) + EndToEnd::bytes(args));
  const auto function = HWY_DYNAMIC_DISPATCH(squares_of);
  run_pieces(pool_of(*launch.stream), all.elements(), kPiece, [&](std::int64_t begin, std::int64_t end) {
    double& sum = sums[begin / kPiece] = 0;
    all.for_parts(begin, end, [&](std::int64_t index, std::int64_t from, std::size_t count) {
      sum += function(static_cast<const float*>(args.segments[index].gradient) + from, count);
    });
  });
  double squares = 0;
  for (std::int64_t i = 0; i < pieces_of(all.elements(), kPiece); ++i) squares += sums[i];
  const double loss_scale = args.loss_scale == nullptr ? 1.0 : *static_cast<const float*>(args.loss_scale);
  const auto norm = static_cast<float>(std::sqrt(squares) / loss_scale);
  *static_cast<float*>(args.norm) = norm;
  *static_cast<float*>(args.scale) = static_cast<float>(clip_factor(norm, args.limit) / loss_scale);
  return nullptr;
}

Status run_average(const WeightAverage& args, const Launch& launch) {
  const EndToEnd all(args, launch.workspace);
  const auto function = HWY_DYNAMIC_DISPATCH(blend_weights);
  const auto keep = static_cast<float>(*args.momentum), take = static_cast<float>(1 - *args.momentum);
  run_pieces(pool_of(*launch.stream), all.elements(), kPiece, [&](std::int64_t begin, std::int64_t end) {
    all.for_parts(begin, end, [&](std::int64_t index, std::int64_t from, std::size_t count) {
      const AverageSegment& segment = args.segments[index];
      function(keep, take, static_cast<const float*>(segment.value) + from,
               static_cast<float*>(segment.average) + from, count);
    });
  });
  return nullptr;
}

template <class Args>
bool is_float32(const Args& args) {
  return args.type == DType::f32;
}

}  // namespace

void add_optimizer_kernels(KernelTable& table) {
  table.adam.add({"adam_f32", is_float32<Adam>, workspace_for_segments<Adam>, run_adam});
  table.gradient_norm.add({"gradient_norm_f32", is_float32<GradientNorm>, workspace_for_norm, run_norm});
  table.weight_average.add(
      {"weight_average_f32", is_float32<WeightAverage>, workspace_for_segments<WeightAverage>, run_average});
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
