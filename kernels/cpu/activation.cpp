#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/activation.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/args/elementwise.h"
#include "kernels/cpu/activation_gradient.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/simd_activation.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

// Every element is read before it is written and written once, so that y may be x.
template <Activation kKind>
void forward_range(const float* x, float* y, std::size_t count) {
  const FloatTag d;
  std::size_t i = 0;
  for (; i + kFloatLanes <= count; i += kFloatLanes) {
    hn::StoreU(activate(d, kKind, hn::LoadU(d, x + i)), d, y + i);
  }
  if (i < count) {
    const auto rest = load_partial(d, x + i, count - i);
    store_partial(activate(d, kKind, rest), d, y + i, count - i);
  }
}

template <Activation kKind>
void backward_range(const float* value, const float* dy, float* dx, std::size_t count) {
  const FloatTag d;
  std::size_t i = 0;
  for (; i + kFloatLanes <= count; i += kFloatLanes) {
    hn::StoreU(gradient_from_kept<kKind>(d, hn::LoadU(d, value + i), hn::LoadU(d, dy + i)), d, dx + i);
  }
  if (i < count) {
    const auto kept = load_partial(d, value + i, count - i);
    const auto gradient = load_partial(d, dy + i, count - i);
    store_partial(gradient_from_kept<kKind>(d, kept, gradient), d, dx + i, count - i);
  }
}

void activation_forward(const ActivationForward& args, std::int64_t begin, std::int64_t end) {
  const float* x = static_cast<const float*>(args.x) + begin;
  float* y = static_cast<float*>(args.y) + begin;
  const auto count = static_cast<std::size_t>(end - begin);
  switch (args.kind) {
    case Activation::none:
      return forward_range<Activation::none>(x, y, count);
    case Activation::relu:
      return forward_range<Activation::relu>(x, y, count);
    case Activation::relu6:
      return forward_range<Activation::relu6>(x, y, count);
    case Activation::silu:
      return forward_range<Activation::silu>(x, y, count);
    case Activation::sigmoid:
      return forward_range<Activation::sigmoid>(x, y, count);
  }
}

void activation_backward(const ActivationBackward& args, std::int64_t begin, std::int64_t end) {
  const float* value = static_cast<const float*>(args.value) + begin;
  const float* dy = static_cast<const float*>(args.dy) + begin;
  float* dx = static_cast<float*>(args.dx) + begin;
  const auto count = static_cast<std::size_t>(end - begin);
  switch (args.kind) {
    case Activation::none:
      return backward_range<Activation::none>(value, dy, dx, count);
    case Activation::relu:
      return backward_range<Activation::relu>(value, dy, dx, count);
    case Activation::relu6:
      return backward_range<Activation::relu6>(value, dy, dx, count);
    case Activation::silu:
      return backward_range<Activation::silu>(value, dy, dx, count);
    case Activation::sigmoid:
      return backward_range<Activation::sigmoid>(value, dy, dx, count);
  }
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/families.h"
#include "kernels/cpu/pieces.h"

namespace pila::kernels::cpu {
namespace {

HWY_EXPORT(activation_forward);
HWY_EXPORT(activation_backward);

template <class Args>
bool is_float32(const Args& args) {
  return args.type == DType::f32;
}

Status forward(const ActivationForward& args, const Launch& launch) {
  const auto piece = HWY_DYNAMIC_DISPATCH(activation_forward);
  run_pieces(pool_of(*launch.stream), args.count, kPiece,
             [&](std::int64_t begin, std::int64_t end) { piece(args, begin, end); });
  return nullptr;
}

Status backward(const ActivationBackward& args, const Launch& launch) {
  const auto piece = HWY_DYNAMIC_DISPATCH(activation_backward);
  run_pieces(pool_of(*launch.stream), args.count, kPiece,
             [&](std::int64_t begin, std::int64_t end) { piece(args, begin, end); });
  return nullptr;
}

}  // namespace

void add_activation_kernels(KernelTable& table) {
  table.activation_forward.add({"activation_f32", is_float32<ActivationForward>, nullptr, forward});
  table.activation_backward.add(
      {"activation_backward_f32", is_float32<ActivationBackward>, nullptr, backward});
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
