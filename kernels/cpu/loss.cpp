#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/loss.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "kernels/cpu/simd.h"
#include "kernels/cpu/simd_lanes.h"
#include "kernels/cpu/vector_math.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

HWY_INLINE float sum_of_lanes(FloatVector x) { return hn::GetLane(hn::SumOfLanes(FloatTag(), x)); }

float largest_of(const float* x, std::size_t count) {
  const FloatTag d;
  float largest = x[0];
  std::size_t i = 0;
  if (count >= kFloatLanes) {
    auto vector = hn::LoadU(d, x);
    for (i = kFloatLanes; i + kFloatLanes <= count; i += kFloatLanes) {
      vector = hn::Max(vector, hn::LoadU(d, x + i));
    }
    largest = hn::GetLane(hn::MaxOfLanes(d, vector));
  }
  for (; i < count; ++i) largest = std::max(largest, x[i]);
  return largest;
}

// exp(x - shift), which also goes to y unless it is null.
template <class Lanes>
HWY_INLINE FloatVector exp_lanes(Lanes lanes, const float* x, FloatVector shift, float* y) {
  const auto term = exp(FloatTag(), hn::Sub(lanes.load(x), shift));
  if (y != nullptr) lanes.store(term, y);
  return term;
}

// sum(exp(x - shift)); the terms also go to y unless it is null, which may be x.
float sum_exp(const float* x, float shift, float* y, std::size_t count) {
  const FloatTag d;
  const auto shifts = hn::Set(d, shift);
  const auto to = [y](std::size_t i) { return y == nullptr ? nullptr : y + i; };
  auto sum0 = hn::Zero(d), sum1 = hn::Zero(d);
  std::size_t i = 0;
  for (; i + 2 * kFloatLanes <= count; i += 2 * kFloatLanes) {
    const std::size_t next = i + kFloatLanes;
    sum0 = hn::Add(sum0, exp_lanes(AllLanes(), x + i, shifts, to(i)));
    sum1 = hn::Add(sum1, exp_lanes(AllLanes(), x + next, shifts, to(next)));
  }
  if (i + kFloatLanes <= count) {
    sum0 = hn::Add(sum0, exp_lanes(AllLanes(), x + i, shifts, to(i)));
    i += kFloatLanes;
  }
  if (i < count) {
    const std::size_t rest = count - i;
    const auto term = exp_lanes(FirstLanes{rest}, x + i, shifts, to(i));
    sum1 = hn::Add(sum1, hn::IfThenElseZero(hn::FirstN(d, rest), term));
  }
  return sum_of_lanes(hn::Add(sum0, sum1));
}

// y = y * factor - offset.
void rescale(float* y, float factor, float offset, std::size_t count) {
  const FloatTag d;
  const auto factors = hn::Set(d, factor), offsets = hn::Set(d, offset);
  std::size_t i = 0;
  for (; i + kFloatLanes <= count; i += kFloatLanes) {
    hn::StoreU(hn::MulSub(hn::LoadU(d, y + i), factors, offsets), d, y + i);
  }
  if (i < count) {
    store_partial(hn::MulSub(load_partial(d, y + i, count - i), factors, offsets), d, y + i, count - i);
  }
}

void softmax_row(const float* x, float* y, std::size_t count) {
  rescale(y, 1.0f / sum_exp(x, largest_of(x, count), y, count), 0.0f, count);
}

void softmax_backward_row(const float* y, const float* dy, float* dx, std::size_t count) {
  const FloatTag d;
  auto products = hn::Zero(d);
  std::size_t i = 0;
  for (; i + kFloatLanes <= count; i += kFloatLanes) {
    products = hn::MulAdd(hn::LoadU(d, y + i), hn::LoadU(d, dy + i), products);
  }
  const std::size_t rest = count - i;
  if (rest > 0) {
    products = hn::MulAdd(load_partial(d, y + i, rest), load_partial(d, dy + i, rest), products);
  }
  const auto dot = hn::Set(d, sum_of_lanes(products));
  for (i = 0; i + kFloatLanes <= count; i += kFloatLanes) {
    hn::StoreU(hn::Mul(hn::LoadU(d, y + i), hn::Sub(hn::LoadU(d, dy + i), dot)), d, dx + i);
  }
  if (rest > 0) {
    const auto slope = hn::Sub(load_partial(d, dy + i, rest), dot);
    store_partial(hn::Mul(load_partial(d, y + i, rest), slope), d, dx + i, rest);
  }
}

// sum(x - shift).
float sum_shifted(const float* x, float shift, std::size_t count) {
  const FloatTag d;
  const auto shifts = hn::Set(d, shift);
  auto sum = hn::Zero(d);
  std::size_t i = 0;
  for (; i + kFloatLanes <= count; i += kFloatLanes) {
    sum = hn::Add(sum, hn::Sub(hn::LoadU(d, x + i), shifts));
  }
  float total = sum_of_lanes(sum);
  for (; i < count; ++i) total += x[i] - shift;
  return total;
}

// -sum(target * log softmax(x)). All but the sums over the classes is done in float64.
double cross_entropy_row(const float* x, std::int32_t label, double smoothing, std::size_t classes) {
  const float shift = largest_of(x, classes);
  double loss = std::log(static_cast<double>(sum_exp(x, shift, nullptr, classes)));
  // A share of nothing stays nothing, even of a logit of -infinity.
  if (smoothing != 1) loss -= (1 - smoothing) * (static_cast<double>(x[label]) - static_cast<double>(shift));
  if (smoothing != 0) {
    loss -= smoothing / static_cast<double>(classes) * static_cast<double>(sum_shifted(x, shift, classes));
  }
  return loss;
}

// dx = factor * (softmax(x) - target).
void cross_entropy_backward_row(const float* x, std::int32_t label, double smoothing, double factor,
                                float* dx, std::size_t classes) {
  const auto sum = static_cast<double>(sum_exp(x, largest_of(x, classes), dx, classes));
  const double own = factor * (static_cast<double>(dx[label]) / sum - 1 + smoothing -
                               smoothing / static_cast<double>(classes));
  rescale(dx, static_cast<float>(factor / sum),
          static_cast<float>(factor * smoothing / static_cast<double>(classes)), classes);
  dx[label] = static_cast<float>(own);
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/families.h"
#include "kernels/cpu/pieces.h"

namespace pila::kernels::cpu {
namespace {

HWY_EXPORT(softmax_row);
HWY_EXPORT(softmax_backward_row);
HWY_EXPORT(cross_entropy_row);
HWY_EXPORT(cross_entropy_backward_row);

// Rows of a piece; an exponential costs several memory accesses.
std::int64_t rows_in_piece(std::int64_t columns) {
  return std::max(std::int64_t{1}, kPiece / 4 / std::max(std::int64_t{1}, columns));
}

// Calls body(row) for every row.
template <class Body>
void run_rows(const Launch& launch, std::int64_t rows, std::int64_t columns, const Body& body) {
  if (columns == 0) return;
  run_pieces(pool_of(*launch.stream), rows, rows_in_piece(columns),
             [&](std::int64_t begin, std::int64_t end) {
               for (std::int64_t row = begin; row < end; ++row) body(row);
             });
}

Status run_softmax(const SoftmaxForward& args, const Launch& launch) {
  const auto* x = static_cast<const float*>(args.x);
  auto* y = static_cast<float*>(args.y);
  const auto function = HWY_DYNAMIC_DISPATCH(softmax_row);
  run_rows(launch, args.rows, args.columns, [&](std::int64_t row) {
    function(x + row * args.columns, y + row * args.columns, static_cast<std::size_t>(args.columns));
  });
  return nullptr;
}

Status run_softmax_backward(const SoftmaxBackward& args, const Launch& launch) {
  const auto* y = static_cast<const float*>(args.y);
  const auto* dy = static_cast<const float*>(args.dy);
  auto* dx = static_cast<float*>(args.dx);
  const auto function = HWY_DYNAMIC_DISPATCH(softmax_backward_row);
  run_rows(launch, args.rows, args.columns, [&](std::int64_t row) {
    const std::int64_t first = row * args.columns;
    function(y + first, dy + first, dx + first, static_cast<std::size_t>(args.columns));
  });
  return nullptr;
}

double weight_of(const void* class_weights, std::int32_t label) {
  return class_weights == nullptr ? 1.0
                                  : static_cast<double>(static_cast<const float*>(class_weights)[label]);
}

Status run_cross_entropy(const CrossEntropyForward& args, const Launch& launch) {
  const auto* logits = static_cast<const float*>(args.logits);
  auto* losses = static_cast<float*>(args.losses);
  const auto function = HWY_DYNAMIC_DISPATCH(cross_entropy_row);
  run_rows(launch, args.rows, args.classes, [&](std::int64_t row) {
    const std::int32_t label = args.labels[row];
    const double loss =
        function(logits + row * args.classes, label, args.smoothing, static_cast<std::size_t>(args.classes));
    losses[row] = static_cast<float>(weight_of(args.class_weights, label) * loss);
  });
  return nullptr;
}

Status run_cross_entropy_backward(const CrossEntropyBackward& args, const Launch& launch) {
  const auto* logits = static_cast<const float*>(args.logits);
  const auto* dlosses = static_cast<const float*>(args.dlosses);
  auto* dlogits = static_cast<float*>(args.dlogits);
  const auto function = HWY_DYNAMIC_DISPATCH(cross_entropy_backward_row);
  run_rows(launch, args.rows, args.classes, [&](std::int64_t row) {
    const std::int32_t label = args.labels[row];
    const double factor = static_cast<double>(dlosses[row]) * weight_of(args.class_weights, label);
    function(logits + row * args.classes, label, args.smoothing, factor, dlogits + row * args.classes,
             static_cast<std::size_t>(args.classes));
  });
  return nullptr;
}

template <class Args>
bool is_float32(const Args& args) {
  return args.type == DType::f32;
}

}  // namespace

void add_loss_kernels(KernelTable& table) {
  table.softmax_forward.add({"softmax_f32", is_float32<SoftmaxForward>, nullptr, run_softmax});
  table.softmax_backward.add(
      {"softmax_backward_f32", is_float32<SoftmaxBackward>, nullptr, run_softmax_backward});
  table.cross_entropy_forward.add(
      {"cross_entropy_f32", is_float32<CrossEntropyForward>, nullptr, run_cross_entropy});
  table.cross_entropy_backward.add(
      {"cross_entropy_backward_f32", is_float32<CrossEntropyBackward>, nullptr, run_cross_entropy_backward});
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
