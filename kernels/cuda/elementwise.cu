// Element by element, at the memory's speed: 16 bytes an access, as many threads as there are packs.

#include "kernels/args/elementwise.h"

#include "kernels/cuda/device/activation.cuh"
#include "kernels/cuda/device/each.cuh"
#include "kernels/cuda/device/number.cuh"
#include "kernels/cuda/device/pack.cuh"
#include "kernels/cuda/device/types.cuh"
#include "kernels/cuda/families.h"

namespace pila::kernels::cuda {
namespace {

// y = function(a, b) in float32. y may be a or b; functions of one number are given the same array twice.
template <class T, class Function>
struct Map {
  std::int64_t packs;
  Function function;
  const T* a;
  const T* b;
  T* y;

  // A pack, or, behind them, a number.
  __device__ void operator()(std::int64_t i) const {
    if (i < packs) {
      const auto left = load_pack(a, i), right = load_pack(b, i);
      Pack<T> result;
      for (int lane = 0; lane < Pack<T>::kLanes; ++lane) {
        result.lane[lane] = narrow<T>(function(widen(left.lane[lane]), widen(right.lane[lane])));
      }
      store_pack(y, i, result);
    } else {
      const std::int64_t at = packs * Pack<T>::kLanes + (i - packs);
      y[at] = narrow<T>(function(widen(a[at]), widen(b[at])));
    }
  }
};

template <class Function>
Status run_map(const Launch& on, DType type, std::int64_t count, const Function& function, const void* a,
               const void* b, void* y) {
  return with_number(type, [&](auto number) {
    using T = decltype(number);
    const bool aligned = is_pack_aligned(a) && is_pack_aligned(b) && is_pack_aligned(y);
    const std::int64_t packs = aligned ? count / Pack<T>::kLanes : 0;
    const Map<T, Function> map{packs, function, static_cast<const T*>(a), static_cast<const T*>(b),
                               static_cast<T*>(y)};
    return for_each(on, packs + count - packs * Pack<T>::kLanes, map);
  });
}

struct Activate {
  Activation kind;
  __device__ float operator()(float x, float) const { return activate(kind, x); }
};

// Of the value that was kept and the gradient.
struct ActivateBackward {
  Activation kind;
  __device__ float operator()(float kept, float dy) const {
    return through(kind == Activation::silu ? slope_at(kind, kept) : slope_from_output(kind, kept), dy);
  }
};

struct ScaleAndShift {
  float factor, offset;
  __device__ float operator()(float x, float) const { return fmaf(x, factor, offset); }
};

struct Combine {
  BinaryKind kind;
  __device__ float operator()(float a, float b) const {
    return kind == BinaryKind::add ? a + b : kind == BinaryKind::subtract ? a - b : a * b;
  }
};

Status run_activation(const ActivationForward& args, const Launch& on) {
  return run_map(on, args.type, args.count, Activate{args.kind}, args.x, args.x, args.y);
}

Status run_activation_backward(const ActivationBackward& args, const Launch& on) {
  return run_map(on, args.type, args.count, ActivateBackward{args.kind}, args.value, args.dy, args.dx);
}

Status run_affine(const Affine& args, const Launch& on) {
  const ScaleAndShift function{static_cast<float>(args.factor), static_cast<float>(args.offset)};
  return run_map(on, args.type, args.count, function, args.x, args.x, args.y);
}

std::int64_t count_of(const Binary& args) {
  std::int64_t count = 1;
  for (int axis = 0; axis < args.rank; ++axis) count *= args.shape[axis];
  return count;
}

// Both operands are as dense as y.
bool has_one_shape(const Binary& args) {
  std::int64_t dense = 1;
  for (int axis = args.rank - 1; axis >= 0; --axis) {
    const bool fits = args.a_strides[axis] == dense && args.b_strides[axis] == dense;
    if (args.shape[axis] != 1 && !fits) return false;
    dense *= args.shape[axis];
  }
  return true;
}

Status run_dense_binary(const Binary& args, const Launch& on) {
  return run_map(on, args.type, count_of(args), Combine{args.kind}, args.a, args.b, args.y);
}

// A number of y, whose operands may lie anywhere.
template <class T>
struct Broadcast {
  Binary args;

  __device__ void operator()(std::int64_t i) const {
    std::int64_t rest = i, a = 0, b = 0;
    for (int axis = args.rank - 1; axis >= 0; --axis) {
      const std::int64_t place = rest % args.shape[axis];
      rest /= args.shape[axis];
      a += place * args.a_strides[axis];
      b += place * args.b_strides[axis];
    }
    const Combine combine{args.kind};
    static_cast<T*>(args.y)[i] =
        narrow<T>(combine(widen(static_cast<const T*>(args.a)[a]), widen(static_cast<const T*>(args.b)[b])));
  }
};

Status run_broadcast(const Binary& args, const Launch& on) {
  return with_number(args.type, [&](auto number) {
    return for_each(on, count_of(args), Broadcast<decltype(number)>{args});
  });
}

}  // namespace

void add_elementwise_kernels(KernelTable& table) {
  table.activation_forward.add({"activation", is_of_numbers<ActivationForward>, nullptr, run_activation});
  table.activation_backward.add(
      {"activation_backward", is_of_numbers<ActivationBackward>, nullptr, run_activation_backward});
  table.affine.add({"affine", is_of_numbers<Affine>, nullptr, run_affine});
  table.binary.add({"binary_one_shape",
                    [](const Binary& args) { return is_number(args.type) && has_one_shape(args); }, nullptr,
                    run_dense_binary});
  table.binary.add({"binary_broadcast", is_of_numbers<Binary>, nullptr, run_broadcast});
}

}  // namespace pila::kernels::cuda
