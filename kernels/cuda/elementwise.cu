// Element by element on float32, at the memory's speed: 16 bytes an access, as many threads as there are
// packs.

#include "kernels/args/elementwise.h"

#include <algorithm>
#include <cmath>

#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/pack.cuh"
#include "kernels/cuda/families.h"

namespace pila::kernels::cuda {
namespace {

// y[i] = function(inputs[i]...): whole packs first, then what is left. y may be one of the inputs.
template <class Function, class... Inputs>
__global__ void map(std::int64_t packs, std::int64_t count, Function function, float* y, Inputs... inputs) {
  const std::int64_t threads = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  const std::int64_t thread = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const auto on_packs = [&](const auto&... values) {
    Pack<float> result;
    for (int lane = 0; lane < Pack<float>::kLanes; ++lane) result.lane[lane] = function(values.lane[lane]...);
    return result;
  };
  for (std::int64_t i = thread; i < packs; i += threads) store_pack(y, i, on_packs(load_pack(inputs, i)...));
  for (std::int64_t i = packs * Pack<float>::kLanes + thread; i < count; i += threads)
    y[i] = function(inputs[i]...);
}

const float* floats(const void* address) { return static_cast<const float*>(address); }

template <class Function, class... Inputs>
Status run_map(const Launch& on, std::int64_t count, const Function& function, void* y, Inputs... inputs) {
  constexpr std::int64_t block = 256, most_blocks = 1 << 20;
  if (count == 0) return nullptr;
  const bool aligned = is_pack_aligned(y) && (is_pack_aligned(inputs) && ...);
  const std::int64_t packs = aligned ? count / Pack<float>::kLanes : 0;
  const std::int64_t work = std::max(packs, count - packs * Pack<float>::kLanes);
  const auto blocks = static_cast<unsigned>(std::min((work + block - 1) / block, most_blocks));
  const Grid grid{dim3(blocks), dim3(static_cast<unsigned>(block))};
  return launch(map<Function, Inputs...>, grid, on, packs, count, function, static_cast<float*>(y),
                inputs...);
}

struct Copy {
  __device__ float operator()(float x) const { return x; }
};
// NaN comes through both.
struct Relu {
  __device__ float operator()(float x) const { return x <= 0 ? 0 : x; }
};
struct Relu6 {
  __device__ float operator()(float x) const { return x <= 0 ? 0 : x >= 6 ? 6 : x; }
};
struct Silu {
  __device__ float operator()(float x) const { return x / (1 + expf(-x)); }
};
struct Sigmoid {
  __device__ float operator()(float x) const { return 1 / (1 + expf(-x)); }
};
struct Add {
  __device__ float operator()(float a, float b) const { return a + b; }
};
struct Subtract {
  __device__ float operator()(float a, float b) const { return a - b; }
};
struct Multiply {
  __device__ float operator()(float a, float b) const { return a * b; }
};
struct ScaleAndShift {
  float factor, offset;
  __device__ float operator()(float x) const { return fmaf(x, factor, offset); }
};
struct Constant {
  float value;
  __device__ float operator()() const { return value; }
};

Status run_activation(const ActivationForward& args, const Launch& on) {
  switch (args.kind) {
    case Activation::none:
      return run_map(on, args.count, Copy{}, args.y, floats(args.x));
    case Activation::relu:
      return run_map(on, args.count, Relu{}, args.y, floats(args.x));
    case Activation::relu6:
      return run_map(on, args.count, Relu6{}, args.y, floats(args.x));
    case Activation::silu:
      return run_map(on, args.count, Silu{}, args.y, floats(args.x));
    case Activation::sigmoid:
      return run_map(on, args.count, Sigmoid{}, args.y, floats(args.x));
  }
  return "unknown activation";
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

Status run_binary(const Binary& args, const Launch& on) {
  std::int64_t count = 1;
  for (int axis = 0; axis < args.rank; ++axis) count *= args.shape[axis];
  switch (args.kind) {
    case BinaryKind::add:
      return run_map(on, count, Add{}, args.y, floats(args.a), floats(args.b));
    case BinaryKind::subtract:
      return run_map(on, count, Subtract{}, args.y, floats(args.a), floats(args.b));
    case BinaryKind::multiply:
      return run_map(on, count, Multiply{}, args.y, floats(args.a), floats(args.b));
  }
  return "unknown binary operation";
}

Status run_affine(const Affine& args, const Launch& on) {
  const ScaleAndShift function{static_cast<float>(args.factor), static_cast<float>(args.offset)};
  return run_map(on, args.count, function, args.y, floats(args.x));
}

Status run_fill(const Fill& args, const Launch& on) {
  return run_map(on, args.count, Constant{static_cast<float>(args.value)}, args.y);
}

template <class Args>
bool is_float32(const Args& args) {
  return args.type == DType::f32;
}

}  // namespace

void add_elementwise_kernels(KernelTable& table) {
  table.activation_forward.add({"activation_f32", is_float32<ActivationForward>, nullptr, run_activation});
  table.binary.add({"binary_one_shape_f32",
                    [](const Binary& args) { return is_float32(args) && has_one_shape(args); }, nullptr,
                    run_binary});
  table.affine.add({"affine_f32", is_float32<Affine>, nullptr, run_affine});
  table.fill.add({"fill_f32", is_float32<Fill>, nullptr, run_fill});
}

}  // namespace pila::kernels::cuda
