#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/activation.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/args/elementwise.h"
#include "kernels/cpu/activation_gradient.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/simd_activation.h"
#include "kernels/cpu/simd_lanes.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

// Every element is read before it is written and written once, so that y may be x.
template <Activation kKind>
struct Forward {
  const float* x;
  float* y;

  template <class Lanes>
  HWY_INLINE void at(Lanes lanes, std::size_t i) const {
    lanes.put(activate(FloatTag(), kKind, lanes.load(x + i)), y + i);
  }
};

template <Activation kKind>
struct Backward {
  const float* value;
  const float* dy;
  float* dx;

  template <class Lanes>
  HWY_INLINE void at(Lanes lanes, std::size_t i) const {
    lanes.put(gradient_from_kept<kKind>(FloatTag(), lanes.load(value + i), lanes.load(dy + i)), dx + i);
  }
};

template <class Body>
void run_range(const Body& body, std::size_t count, bool past_caches) {
  std::size_t i = 0;
  if (past_caches) {
    for (; i + kFloatLanes <= count; i += kFloatLanes) body.at(AllLanesPastCaches(), i);
    finish_past_caches();
  }
  for (; i + kFloatLanes <= count; i += kFloatLanes) body.at(AllLanes(), i);
  if (i < count) body.at(FirstLanes{count - i}, i);
}

void activation_forward(const ActivationForward& args, std::int64_t begin, std::int64_t end,
                        bool past_caches) {
  const float* x = static_cast<const float*>(args.x) + begin;
  float* y = static_cast<float*>(args.y) + begin;
  const auto count = static_cast<std::size_t>(end - begin);
  switch (args.kind) {
    case Activation::none:
      return run_range(Forward<Activation::none>{x, y}, count, past_caches);
    case Activation::relu:
      return run_range(Forward<Activation::relu>{x, y}, count, past_caches);
    case Activation::relu6:
      return run_range(Forward<Activation::relu6>{x, y}, count, past_caches);
    case Activation::silu:
      return run_range(Forward<Activation::silu>{x, y}, count, past_caches);
    case Activation::sigmoid:
      return run_range(Forward<Activation::sigmoid>{x, y}, count, past_caches);
  }
}

void activation_backward(const ActivationBackward& args, std::int64_t begin, std::int64_t end,
                         bool past_caches) {
  const float* value = static_cast<const float*>(args.value) + begin;
  const float* dy = static_cast<const float*>(args.dy) + begin;
  float* dx = static_cast<float*>(args.dx) + begin;
  const auto count = static_cast<std::size_t>(end - begin);
  switch (args.kind) {
    case Activation::none:
      return run_range(Backward<Activation::none>{value, dy, dx}, count, past_caches);
    case Activation::relu:
      return run_range(Backward<Activation::relu>{value, dy, dx}, count, past_caches);
    case Activation::relu6:
      return run_range(Backward<Activation::relu6>{value, dy, dx}, count, past_caches);
    case Activation::silu:
      return run_range(Backward<Activation::silu>{value, dy, dx}, count, past_caches);
    case Activation::sigmoid:
      return run_range(Backward<Activation::sigmoid>{value, dy, dx}, count, past_caches);
  }
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/families.h"
#include "kernels/cpu/past_caches.h"
#include "kernels/cpu/pieces.h"

namespace pila::kernels::cpu {
namespace {

HWY_EXPORT(activation_forward);
HWY_EXPORT(activation_backward);

template <class Args>
bool is_float32(const Args& args) {
  return args.type == DType::f32;
}

// A tensor written in place is in the caches already.
Status forward(const ActivationForward& args, const Launch& launch) {
  const auto piece = HWY_DYNAMIC_DISPATCH(activation_forward);
  const bool past_caches =
      args.y != args.x && goes_past_caches(static_cast<const float*>(args.y), args.count, kPiece);
  run_pieces(pool_of(*launch.stream), args.count, kPiece,
             [&](std::int64_t begin, std::int64_t end) { piece(args, begin, end, past_caches); });
  return nullptr;
}

Status backward(const ActivationBackward& args, const Launch& launch) {
  const auto piece = HWY_DYNAMIC_DISPATCH(activation_backward);
  const bool past_caches =
      args.dx != args.dy && goes_past_caches(static_cast<const float*>(args.dx), args.count, kPiece);
  run_pieces(pool_of(*launch.stream), args.count, kPiece,
             [&](std::int64_t begin, std::int64_t end) { piece(args, begin, end, past_caches); });
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
