// The gradients of batch normalisation. With batch statistics x and dy are read twice: for the sums over rows
// and for dx; with given statistics once, for both. The activation's slope is found anew from x.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/norm_backward.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/args/norm.h"
#include "kernels/cpu/activation_gradient.h"
#include "kernels/cpu/norm_backward.h"
#include "kernels/cpu/norm_channels.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

// One row's centred x and gradient before the activation.
template <Activation kActivation, class Lanes>
struct Gradient {
  FloatVector centred, g;

  HWY_INLINE Gradient(const GradientRows& rows, Lanes lanes, std::size_t i, FloatVector mean,
                      FloatVector scale, FloatVector offset) {
    centred = hn::Sub(lanes.read(rows.x + i), mean);
    const auto before = hn::MulAdd(centred, scale, offset);
    g = gradient_at_input<kActivation>(FloatTag(), before, lanes.read(rows.dy + i));
  }
};

// Adds to each channel's sums; with kWriteDx also dx = g * scale.
template <Activation kActivation, bool kWriteDx>
struct SumGradients {
  GradientRows rows;

  template <int kRows, class Lanes>
  HWY_INLINE void step(Lanes lanes, std::size_t row, std::size_t c) const {
    const FloatTag d;
    const auto mean = lanes.load(rows.scaling.mean + c);
    const auto scale = lanes.load(rows.scaling.scale + c);
    const auto offset = lanes.load(rows.scaling.offset + c);
    auto sum = hn::Zero(d), product_sum = hn::Zero(d);
    for (int k = 0; k < kRows; ++k) {
      const std::size_t i = (row + k) * rows.channels + c;
      const Gradient<kActivation, Lanes> at(rows, lanes, i, mean, scale, offset);
      sum = hn::Add(sum, at.g);
      product_sum = hn::MulAdd(at.g, at.centred, product_sum);
      if (kWriteDx) lanes.put(hn::Mul(at.g, scale), rows.dx + i);
    }
    lanes.store(hn::Add(lanes.load(rows.sum + c), sum), rows.sum + c);
    lanes.store(hn::Add(lanes.load(rows.product_sum + c), product_sum), rows.product_sum + c);
  }
};

template <Activation kActivation>
struct WriteDx {
  GradientRows rows;

  template <int kRows, class Lanes>
  HWY_INLINE void step(Lanes lanes, std::size_t row, std::size_t c) const {
    const auto mean = lanes.load(rows.scaling.mean + c);
    const auto scale = lanes.load(rows.scaling.scale + c);
    const auto offset = lanes.load(rows.scaling.offset + c);
    const auto along_x = lanes.load(rows.along_x + c);
    const auto constant = lanes.load(rows.constant + c);
    for (int k = 0; k < kRows; ++k) {
      const std::size_t i = (row + k) * rows.channels + c;
      const Gradient<kActivation, Lanes> at(rows, lanes, i, mean, scale, offset);
      lanes.put(hn::MulAdd(at.g, scale, hn::MulAdd(at.centred, along_x, constant)), rows.dx + i);
    }
  }
};

// `Whole`: the lanes of whole vectors.
template <Activation kActivation, class Whole>
void gradient_pass(GradientPass pass, const GradientRows& rows) {
  switch (pass) {
    case GradientPass::sums:
      return for_blocks<8, AllLanes>(rows.rows, rows.channels, SumGradients<kActivation, false>{rows});
    case GradientPass::sums_and_scaled_dx:
      return for_blocks<8, Whole>(rows.rows, rows.channels, SumGradients<kActivation, true>{rows});
    case GradientPass::dx:
      return for_blocks<4, Whole>(rows.rows, rows.channels, WriteDx<kActivation>{rows});
  }
}

template <Activation kActivation>
void gradient_pass(GradientPass pass, const GradientRows& rows) {
  if (!rows.past_caches) return gradient_pass<kActivation, AllLanes>(pass, rows);
  gradient_pass<kActivation, AllLanesPastCaches>(pass, rows);
  finish_past_caches();
}

void gradient_chunk(Activation activation, GradientPass pass, const GradientRows& rows) {
  switch (activation) {
    case Activation::none:
      return gradient_pass<Activation::none>(pass, rows);
    case Activation::relu:
      return gradient_pass<Activation::relu>(pass, rows);
    case Activation::relu6:
      return gradient_pass<Activation::relu6>(pass, rows);
    case Activation::silu:
      return gradient_pass<Activation::silu>(pass, rows);
    case Activation::sigmoid:
      return gradient_pass<Activation::sigmoid>(pass, rows);
  }
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <algorithm>

#include "kernels/cpu/past_caches.h"

namespace pila::kernels::cpu {
namespace {

HWY_EXPORT(gradient_chunk);

// A chunk's sums are two rows of `channels`.
struct Workspace {
  double* sum;
  double* product_sum;
  float* scaling;
  float* along_x;
  float* constant;
  float* sums;

  Workspace(void* memory, std::int64_t channels)
      : sum(static_cast<double*>(memory)),
        product_sum(sum + channels),
        scaling(reinterpret_cast<float*>(product_sum + channels)),
        along_x(scaling + 3 * channels),
        constant(along_x + channels),
        sums(constant + channels) {}

  static std::size_t bytes(const RowChunks& chunks) {
    const auto floats = 5 + 2 * static_cast<std::size_t>(chunks.count());
    return (2 * sizeof(double) + floats * sizeof(float)) * static_cast<std::size_t>(chunks.channels);
  }
};

bool is_float32(const BatchNormBackward& args) { return args.type == DType::f32; }

std::size_t workspace_bytes(const BatchNormBackward& args, const Stream&) {
  return Workspace::bytes({args.rows, args.channels});
}

// In double and in the order of the chunks.
void add_up(const RowChunks& chunks, const Workspace& workspace) {
  std::fill_n(workspace.sum, 2 * chunks.channels, 0.0);
  for (std::int64_t k = 0; k < chunks.count(); ++k) {
    const float* sums = workspace.sums + 2 * k * chunks.channels;
    for (std::int64_t c = 0; c < 2 * chunks.channels; ++c) workspace.sum[c] += sums[c];
  }
}

Status backward(const BatchNormBackward& args, const Launch& launch) {
  auto& pool = pool_of(*launch.stream);
  const auto channels = args.channels;
  const RowChunks chunks{args.rows, channels};
  const Workspace workspace(launch.workspace, channels);
  const auto scaling = scaling_of(args, workspace.scaling);

  const auto pass_over = HWY_DYNAMIC_DISPATCH(gradient_chunk);
  const bool past_caches = args.dx != nullptr && goes_past_caches(static_cast<const float*>(args.dx),
                                                                  args.rows * channels, channels);
  const auto run_chunk = [&](GradientPass pass, std::int64_t chunk) {
    const auto start = chunks.begin(chunk) * channels;
    float* sum = workspace.sums + 2 * chunk * channels;
    if (pass != GradientPass::dx) std::fill_n(sum, 2 * channels, 0.0f);
    float* dx = args.dx == nullptr ? nullptr : static_cast<float*>(args.dx) + start;
    pass_over(args.activation, pass,
              {static_cast<const float*>(args.x) + start, static_cast<const float*>(args.dy) + start, dx,
               static_cast<std::size_t>(chunks.length(chunk)), static_cast<std::size_t>(channels), scaling,
               sum, sum + channels, workspace.along_x, workspace.constant, past_caches});
  };

  const bool dx_at_once = args.dx != nullptr && !args.batch_statistics;
  const auto first = dx_at_once ? GradientPass::sums_and_scaled_dx : GradientPass::sums;
  pool.run(chunks.count(), [&](std::int64_t chunk, int) { run_chunk(first, chunk); });
  add_up(chunks, workspace);

  const auto rows = static_cast<double>(args.rows);
  for (std::int64_t c = 0; c < channels; ++c) {
    const double variance = static_cast<const float*>(args.variance)[c] + args.epsilon;
    if (args.dbeta != nullptr) static_cast<float*>(args.dbeta)[c] = static_cast<float>(workspace.sum[c]);
    if (args.dgamma != nullptr) {
      static_cast<float*>(args.dgamma)[c] =
          static_cast<float>(workspace.product_sum[c] / std::sqrt(variance));
    }
    workspace.constant[c] = static_cast<float>(-scaling.scale[c] * workspace.sum[c] / rows);
    workspace.along_x[c] =
        static_cast<float>(-scaling.scale[c] * workspace.product_sum[c] / (variance * rows));
  }
  if (args.dx != nullptr && !dx_at_once) {
    run_backwards(pool, chunks, [&](std::int64_t chunk) { run_chunk(GradientPass::dx, chunk); });
  }
  return nullptr;
}

}  // namespace

Kernel<BatchNormBackward> batch_norm_backward_kernel() {
  return {"batch_norm_backward_f32", is_float32, workspace_bytes, backward};
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
