// Batch normalisation forward, and moving averages. Training reads x twice: for the statistics and, unless
// its readers do so, to normalise.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/norm.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "kernels/args/norm.h"
#include "kernels/cpu/norm_channels.h"
#include "kernels/cpu/norm_chunks.h"
#include "kernels/cpu/simd_activation.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

// Takes kRows more rows into each channel's sum and sum of squared deviations from the mean (Chan, Golub and
// LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1982).
struct AddMoments {
  const float* x;
  std::size_t channels;
  const float* shift;
  float* sum;      // of x - shift
  float* squares;  // of the deviations

  template <int kRows, class Lanes>
  HWY_INLINE void step(Lanes lanes, std::size_t row, std::size_t c) const {
    const FloatTag d;
    const auto origin = lanes.load(shift + c);
    FloatVector values[kRows];
    auto block_sum = hn::Zero(d), block_squares = hn::Zero(d);
    PILA_UNROLL for (int k = 0; k < kRows; ++k) {
      values[k] = hn::Sub(lanes.read(x + (row + k) * channels + c), origin);
      block_sum = hn::Add(block_sum, values[k]);
    }
    const auto block_mean = hn::Mul(block_sum, hn::Set(d, 1.0f / kRows));
    PILA_UNROLL for (int k = 0; k < kRows; ++k) {
      const auto deviation = hn::Sub(values[k], block_mean);
      block_squares = hn::MulAdd(deviation, deviation, block_squares);
    }
    const auto before = static_cast<float>(row);
    const auto old_sum = lanes.load(sum + c);
    const auto old_mean = hn::Mul(old_sum, hn::Set(d, row == 0 ? 0.0f : 1.0f / before));
    const auto apart = hn::Sub(block_mean, old_mean);
    const auto between = hn::Mul(hn::Mul(apart, apart), hn::Set(d, before * kRows / (before + kRows)));
    lanes.store(hn::Add(old_sum, block_sum), sum + c);
    lanes.store(hn::Add(lanes.load(squares + c), hn::Add(block_squares, between)), squares + c);
  }
};

// The moments of a chunk. Measured from its first row, one of the values themselves, sums keep digits that
// float32 has no room for far from zero.
void chunk_moments(const float* x, std::size_t rows, std::size_t channels, float* shift, float* sum,
                   float* squares) {
  std::copy_n(x, channels, shift);
  std::fill_n(sum, channels, 0.0f);
  std::fill_n(squares, channels, 0.0f);
  for_blocks<8, AllLanes>(rows, channels, AddMoments{x, channels, shift, sum, squares});
}

template <Activation kActivation>
struct Normalise {
  NormaliseRows rows;

  template <int kRows, class Lanes>
  HWY_INLINE void step(Lanes lanes, std::size_t row, std::size_t c) const {
    const FloatTag d;
    const auto mean = lanes.load(rows.scaling.mean + c);
    const auto scale = lanes.load(rows.scaling.scale + c);
    const auto offset = lanes.load(rows.scaling.offset + c);
    for (int k = 0; k < kRows; ++k) {
      const auto x = lanes.read(rows.x + (row + k) * rows.x_row + c);
      const auto scaled = hn::MulAdd(hn::Sub(x, mean), scale, offset);
      lanes.put(activate(d, kActivation, scaled), rows.y + (row + k) * rows.y_row + c);
    }
  }
};

template <Activation kActivation>
void normalise_rows(const NormaliseRows& rows) {
  const Normalise<kActivation> body{rows};
  if (rows.past_caches) {
    for_blocks<4, AllLanesPastCaches>(rows.rows, rows.channels, body);
    finish_past_caches();
  } else {
    for_blocks<4, AllLanes>(rows.rows, rows.channels, body);
  }
}

void normalise_chunk(Activation activation, const NormaliseRows& rows) {
  switch (activation) {
    case Activation::none:
      return normalise_rows<Activation::none>(rows);
    case Activation::relu:
      return normalise_rows<Activation::relu>(rows);
    case Activation::relu6:
      return normalise_rows<Activation::relu6>(rows);
    case Activation::silu:
      return normalise_rows<Activation::silu>(rows);
    case Activation::sigmoid:
      return normalise_rows<Activation::sigmoid>(rows);
  }
}

void blend_average(const float* value, float momentum, float rest, float* average, std::size_t count) {
  const FloatTag d;
  const auto keep = hn::Set(d, momentum), take = hn::Set(d, rest);
  std::size_t i = 0;
  for (; i + kFloatLanes <= count; i += kFloatLanes) {
    const auto taken = hn::Mul(hn::LoadU(d, value + i), take);
    hn::StoreU(hn::MulAdd(hn::LoadU(d, average + i), keep, taken), d, average + i);
  }
  if (i < count) {
    const auto taken = hn::Mul(load_partial(d, value + i, count - i), take);
    const auto old = load_partial(d, average + i, count - i);
    store_partial(hn::MulAdd(old, keep, taken), d, average + i, count - i);
  }
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/families.h"
#include "kernels/cpu/norm_backward.h"
#include "kernels/cpu/past_caches.h"
#include "kernels/cpu/pieces.h"

namespace pila::kernels::cpu {
namespace {

HWY_EXPORT(chunk_moments);
HWY_EXPORT(normalise_chunk);
HWY_EXPORT(blend_average);

template <class Args>
bool is_float32(const Args& args) {
  return args.type == DType::f32;
}

// The workspace of training. A chunk's moments are three rows of `channels`: shift, sum, squares.
struct TrainingWorkspace {
  double* mean;
  double* variance;
  float* scaling;
  float* moments;

  TrainingWorkspace(void* memory, std::int64_t channels)
      : mean(static_cast<double*>(memory)),
        variance(mean + channels),
        scaling(reinterpret_cast<float*>(variance + channels)),
        moments(scaling + 3 * channels) {}

  static std::size_t bytes(const RowChunks& chunks) {
    const auto per_channel =
        2 * sizeof(double) + 3 * sizeof(float) * static_cast<std::size_t>(1 + chunks.count());
    return per_channel * static_cast<std::size_t>(chunks.channels);
  }
};

// Mean and variance of all rows from the chunks' moments, in double and in the order of the chunks.
void combine(const RowChunks& chunks, const TrainingWorkspace& workspace) {
  const auto channels = chunks.channels;
  const auto rows = static_cast<double>(std::max<std::int64_t>(chunks.rows, 1));
  double* mean = workspace.mean;
  double* variance = workspace.variance;
  std::fill_n(mean, 2 * channels, 0.0);
  for (std::int64_t k = 0; k < chunks.count(); ++k) {
    const float* shift = workspace.moments + 3 * k * channels;
    const float* sum = shift + channels;
    const auto length = static_cast<double>(chunks.length(k));
    for (std::int64_t c = 0; c < channels; ++c) mean[c] += length * shift[c] + sum[c];
  }
  for (std::int64_t c = 0; c < channels; ++c) mean[c] /= rows;
  for (std::int64_t k = 0; k < chunks.count(); ++k) {
    const float* shift = workspace.moments + 3 * k * channels;
    const float* sum = shift + channels;
    const float* squares = sum + channels;
    const auto length = static_cast<double>(chunks.length(k));
    for (std::int64_t c = 0; c < channels; ++c) {
      const double apart = shift[c] + sum[c] / length - mean[c];
      variance[c] += squares[c] + length * apart * apart;
    }
  }
  for (std::int64_t c = 0; c < channels; ++c) variance[c] /= rows;
}

void normalise_all(ThreadPool& pool, const RowChunks& chunks, Activation activation, const float* x, float* y,
                   const ChannelScaling& scaling) {
  const bool past_caches = goes_past_caches(y, chunks.rows * chunks.channels, chunks.channels);
  run_backwards(pool, chunks, [&](std::int64_t chunk) {
    const auto start = chunks.begin(chunk) * chunks.channels;
    const auto row = static_cast<std::size_t>(chunks.channels);
    normalise(activation, {x + start, y + start, static_cast<std::size_t>(chunks.length(chunk)), row, row,
                           row, scaling, past_caches});
  });
}

std::size_t training_workspace(const BatchNormTraining& args, const Stream&) {
  return TrainingWorkspace::bytes({args.rows, args.channels});
}

Status training(const BatchNormTraining& args, const Launch& launch) {
  auto& pool = pool_of(*launch.stream);
  const RowChunks chunks{args.rows, args.channels};
  const TrainingWorkspace workspace(launch.workspace, args.channels);
  const auto* x = static_cast<const float*>(args.x);
  const auto moments = HWY_DYNAMIC_DISPATCH(chunk_moments);
  pool.run(chunks.count(), [&](std::int64_t chunk, int) {
    float* shift = workspace.moments + 3 * chunk * args.channels;
    moments(x + chunks.begin(chunk) * args.channels, static_cast<std::size_t>(chunks.length(chunk)),
            static_cast<std::size_t>(args.channels), shift, shift + args.channels, shift + 2 * args.channels);
  });
  combine(chunks, workspace);

  float* means = args.scaling == nullptr ? workspace.scaling : static_cast<float*>(args.scaling);
  float* scales = means + args.channels;
  float* offsets = scales + args.channels;
  for (std::int64_t c = 0; c < args.channels; ++c) {
    const double mean = workspace.mean[c], variance = workspace.variance[c];
    static_cast<float*>(args.mean)[c] = static_cast<float>(mean);
    static_cast<float*>(args.variance)[c] = static_cast<float>(variance);
    // What float32 cannot hold of the mean goes into the offset.
    const double scale = static_cast<const float*>(args.gamma)[c] / std::sqrt(variance + args.epsilon);
    means[c] = static_cast<float>(mean);
    scales[c] = static_cast<float>(scale);
    offsets[c] = static_cast<float>(static_cast<const float*>(args.beta)[c] + (means[c] - mean) * scale);
  }
  if (args.y == nullptr) return nullptr;
  normalise_all(pool, chunks, args.activation, x, static_cast<float*>(args.y),
                ChannelScaling::in(means, args.channels));
  return nullptr;
}

std::size_t inference_workspace(const BatchNormInference& args, const Stream&) {
  return 3 * sizeof(float) * static_cast<std::size_t>(args.channels);
}

Status inference(const BatchNormInference& args, const Launch& launch) {
  const auto scaling = scaling_of(args, static_cast<float*>(launch.workspace));
  normalise_all(pool_of(*launch.stream), {args.rows, args.channels}, args.activation,
                static_cast<const float*>(args.x), static_cast<float*>(args.y), scaling);
  return nullptr;
}

Status update_average(const MovingAverage& args, const Launch& launch) {
  const auto blend = HWY_DYNAMIC_DISPATCH(blend_average);
  const auto* value = static_cast<const float*>(args.value);
  auto* average = static_cast<float*>(args.average);
  const auto keep = static_cast<float>(args.momentum), take = static_cast<float>(1 - args.momentum);
  run_pieces(pool_of(*launch.stream), args.count, kPiece, [&](std::int64_t begin, std::int64_t end) {
    blend(value + begin, keep, take, average + begin, static_cast<std::size_t>(end - begin));
  });
  return nullptr;
}

}  // namespace

void normalise(Activation activation, const NormaliseRows& rows) {
  HWY_DYNAMIC_DISPATCH(normalise_chunk)(activation, rows);
}

void add_norm_kernels(KernelTable& table) {
  table.batch_norm_training.add(
      {"batch_norm_training_f32", is_float32<BatchNormTraining>, training_workspace, training});
  table.batch_norm_inference.add(
      {"batch_norm_inference_f32", is_float32<BatchNormInference>, inference_workspace, inference});
  table.batch_norm_backward.add(batch_norm_backward_kernel());
  table.moving_average.add({"moving_average_f32", is_float32<MovingAverage>, nullptr, update_average});
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
