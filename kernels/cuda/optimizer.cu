// What happens to all parameters at once: lists of segments, a few dozen to a launch.

#include "kernels/args/optimizer.h"

#include <algorithm>

#include "kernels/args/norm.h"
#include "kernels/cuda/device/each.cuh"
#include "kernels/cuda/device/types.cuh"
#include "kernels/cuda/families.h"

namespace pila::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kNumbersOfBlock = 8 * kThreads;

// As many segments as a kernel's parameters have room for, and where each one's blocks begin.
template <class Segment>
struct Batch {
  static constexpr int kMost = 3072 / static_cast<int>(sizeof(Segment) + sizeof(unsigned));

  Segment segments[kMost];
  unsigned first_block[kMost + 1];

  // The segment that the block works on.
  __device__ int own() const {
    int segment = 0;
    while (first_block[segment + 1] <= blockIdx.x) ++segment;
    return segment;
  }
  // Calls visit(i) for the thread's numbers of its block.
  template <class Visit>
  __device__ void for_own(int segment, const Visit& visit) const {
    const std::int64_t begin = (blockIdx.x - first_block[segment]) * kNumbersOfBlock;
    const std::int64_t count = segments[segment].count, end = begin + kNumbersOfBlock;
    for (std::int64_t i = begin + threadIdx.x; i < (end < count ? end : count); i += kThreads) visit(i);
  }
};

std::int64_t blocks_of(std::int64_t count) { return (count + kNumbersOfBlock - 1) / kNumbersOfBlock; }

// Calls run(batch, its blocks, blocks before it) for batches of all segments, until one goes wrong.
template <class Segment, class Run>
Status for_batches(const Segment* segments, std::int64_t count, const Run& run) {
  Status status = nullptr;
  std::int64_t before = 0;
  for (std::int64_t first = 0; first < count && status == nullptr; first += Batch<Segment>::kMost) {
    Batch<Segment> batch;
    const auto size = static_cast<int>(std::min<std::int64_t>(count - first, Batch<Segment>::kMost));
    std::int64_t blocks = 0;
    for (int i = 0; i < Batch<Segment>::kMost; ++i) {
      if (i < size) batch.segments[i] = segments[first + i];
      batch.first_block[i] = static_cast<unsigned>(blocks);
      if (i < size) blocks += blocks_of(batch.segments[i].count);
    }
    batch.first_block[Batch<Segment>::kMost] = static_cast<unsigned>(blocks);
    if (blocks > 0) status = run(batch, static_cast<unsigned>(blocks), before);
    before += blocks;
  }
  return status;
}

// ---- Adam

struct AdamNumbers {
  double beta1, beta2, epsilon;
  const std::int64_t* step;
  const float* rate;
  const float* gradient_scale;  // or null
  const double* momentum;       // null where there are no averages
};

__global__ void __launch_bounds__(kThreads) adam(Batch<AdamSegment> batch, AdamNumbers numbers) {
  const float scale = numbers.gradient_scale == nullptr ? 1.0f : *numbers.gradient_scale;
  if (scale != scale) return;
  const int own = batch.own();
  const AdamSegment& segment = batch.segments[own];
  const auto t = static_cast<double>(*numbers.step);
  const double rate = static_cast<double>(*numbers.rate) * segment.rate_factor;
  const auto decay = static_cast<float>(segment.weight_decay * rate);
  const auto step = static_cast<float>(rate * sqrt(1 - pow(numbers.beta2, t)) / (1 - pow(numbers.beta1, t)));
  const auto new_first = static_cast<float>(1 - numbers.beta1);
  const auto new_second = static_cast<float>(1 - numbers.beta2);
  const auto epsilon = static_cast<float>(numbers.epsilon);
  const double momentum = segment.average == nullptr ? 0 : *numbers.momentum;
  const auto kept = static_cast<float>(momentum), taken = static_cast<float>(1 - momentum);
  auto* parameters = static_cast<float*>(segment.parameter);
  auto* first_moments = static_cast<float*>(segment.first_moment);
  auto* second_moments = static_cast<float*>(segment.second_moment);
  auto* averages = static_cast<float*>(segment.average);
  batch.for_own(own, [&](std::int64_t i) {
    const float g = static_cast<const float*>(segment.gradient)[i] * scale;
    const float m = fmaf(g - first_moments[i], new_first, first_moments[i]);
    const float v = fmaf(g * g - second_moments[i], new_second, second_moments[i]);
    const float w = fmaf(-parameters[i], decay, parameters[i]);
    const float updated = w - m * step / (sqrtf(v) + epsilon);
    if (averages != nullptr) averages[i] = fmaf(averages[i], kept, updated * taken);
    parameters[i] = updated;
    first_moments[i] = m;
    second_moments[i] = v;
  });
}

Status run_adam(const Adam& args, const Launch& on) {
  const AdamNumbers numbers{args.beta1,
                            args.beta2,
                            args.epsilon,
                            args.step,
                            static_cast<const float*>(args.rate),
                            static_cast<const float*>(args.gradient_scale),
                            args.momentum};
  return for_batches(args.segments, args.segment_count,
                     [&](const Batch<AdamSegment>& batch, unsigned blocks, std::int64_t) {
                       return launch(adam, {dim3(blocks), dim3(kThreads)}, on, batch, numbers);
                     });
}

// ---- the norm of all gradients

// The sum of the block's numbers, in an order that is the same every time; the first thread has it.
__device__ double add_up_block(double own) {
  auto* sums = shared_memory<double>();
  sums[threadIdx.x] = own;
  for (unsigned half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
  }
  return sums[0];
}

__global__ void __launch_bounds__(kThreads) add_squares(Batch<GradientSegment> batch, double* sums) {
  const int own = batch.own();
  double sum = 0;
  batch.for_own(own, [&](std::int64_t i) {
    const double gradient = static_cast<const float*>(batch.segments[own].gradient)[i];
    sum += gradient * gradient;
  });
  sum = add_up_block(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(kThreads) finish_norm(const double* sums, std::int64_t count, double limit,
                                                        const float* loss_scale, float* norm, float* scale) {
  double sum = 0;
  for (std::int64_t i = threadIdx.x; i < count; i += kThreads) sum += sums[i];
  sum = add_up_block(sum);
  if (threadIdx.x != 0) return;
  const double multiplied_by = loss_scale == nullptr ? 1.0 : *loss_scale;
  *norm = static_cast<float>(sqrt(sum) / multiplied_by);
  const double rounded = *norm;
  const double factor = (rounded <= limit ? 1 : limit / rounded) + (rounded - rounded);
  *scale = static_cast<float>(factor / multiplied_by);
}

std::int64_t blocks_of_all(const GradientNorm& args) {
  std::int64_t blocks = 0;
  for (std::int64_t i = 0; i < args.segment_count; ++i) blocks += blocks_of(args.segments[i].count);
  return blocks;
}

Status run_norm(const GradientNorm& args, const Launch& on) {
  auto* sums = static_cast<double*>(on.workspace);
  const std::size_t shared = kThreads * sizeof(double);
  const Status status = for_batches(
      args.segments, args.segment_count,
      [&](const Batch<GradientSegment>& batch, unsigned blocks, std::int64_t before) {
        return launch(add_squares, {dim3(blocks), dim3(kThreads), shared}, on, batch, sums + before);
      });
  if (status != nullptr) return status;
  return launch(finish_norm, {dim3(1), dim3(kThreads), shared}, on, sums, blocks_of_all(args), args.limit,
                static_cast<const float*>(args.loss_scale), static_cast<float*>(args.norm),
                static_cast<float*>(args.scale));
}

// ---- averages

__global__ void __launch_bounds__(kThreads) average(Batch<AverageSegment> batch, const double* momentum) {
  const int own = batch.own();
  const auto kept = static_cast<float>(*momentum), taken = static_cast<float>(1 - *momentum);
  const auto* values = static_cast<const float*>(batch.segments[own].value);
  auto* averages = static_cast<float*>(batch.segments[own].average);
  batch.for_own(own, [&](std::int64_t i) { averages[i] = fmaf(averages[i], kept, values[i] * taken); });
}

Status run_average(const WeightAverage& args, const Launch& on) {
  return for_batches(args.segments, args.segment_count,
                     [&](const Batch<AverageSegment>& batch, unsigned blocks, std::int64_t) {
                       return launch(average, {dim3(blocks), dim3(kThreads)}, on, batch, args.momentum);
                     });
}

struct Move {
  const float* value;
  float* average;
  float kept, taken;
  __device__ void operator()(std::int64_t i) const { average[i] = fmaf(average[i], kept, value[i] * taken); }
};

Status run_moving_average(const MovingAverage& args, const Launch& on) {
  return for_each(on, args.count,
                  Move{static_cast<const float*>(args.value), static_cast<float*>(args.average),
                       static_cast<float>(args.momentum), static_cast<float>(1 - args.momentum)});
}

}  // namespace

void add_optimizer_kernels(KernelTable& table) {
  table.adam.add({"adam", is_float32<Adam>, nullptr, run_adam});
  table.gradient_norm.add({"gradient_norm", is_float32<GradientNorm>,
                           [](const GradientNorm& args, const Stream&) {
                             return static_cast<std::size_t>(blocks_of_all(args)) * sizeof(double);
                           },
                           run_norm});
  table.weight_average.add({"weight_average", is_float32<WeightAverage>, nullptr, run_average});
  table.moving_average.add({"moving_average", is_float32<MovingAverage>, nullptr, run_moving_average});
}

}  // namespace pila::kernels::cuda
