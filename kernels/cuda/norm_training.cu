// Batch normalisation with the batch's own statistics, and its gradients. Rows are cut into parts, whose
// results are put together in their order.

#include <algorithm>

#include "kernels/args/norm.h"
#include "kernels/cuda/device/activation.cuh"
#include "kernels/cuda/device/each.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/number.cuh"
#include "kernels/cuda/device/prologue.cuh"
#include "kernels/cuda/device/types.cuh"
#include "kernels/cuda/families.h"

namespace pila::kernels::cuda {
namespace {

// A block has kAcross channels, and kDown threads that share the rows of each.
constexpr int kAcross = 32, kDown = 8, kThreads = kAcross * kDown;

// How the rows are cut: into enough parts to keep a GPU busy, of 64 rows at least.
struct Parts {
  Parts(std::int64_t rows, std::int64_t channels) {
    constexpr std::int64_t kBlocks = 1024, kLeastRows = 64;
    const std::int64_t across = (channels + kAcross - 1) / kAcross;
    const std::int64_t wanted = std::max<std::int64_t>(1, kBlocks / std::max<std::int64_t>(across, 1));
    count = std::clamp<std::int64_t>(rows / kLeastRows, 1, wanted);
    rows_of_each = (rows + count - 1) / count;
  }
  std::int64_t count, rows_of_each;
};

Grid grid_of(std::int64_t channels, const Parts& parts) {
  return {dim3(static_cast<unsigned>((channels + kAcross - 1) / kAcross), static_cast<unsigned>(parts.count)),
          dim3(kThreads), 2 * kThreads * sizeof(double)};
}

// What the thread works on: rows [begin, end) of a channel, in steps of kDown.
struct Place {
  std::int64_t channel, begin, end;
  int across, down;

  __device__ Place(std::int64_t rows, std::int64_t rows_of_part)
      : across(static_cast<int>(threadIdx.x) % kAcross), down(static_cast<int>(threadIdx.x) / kAcross) {
    channel = static_cast<std::int64_t>(blockIdx.x) * kAcross + across;
    const std::int64_t first = blockIdx.y * rows_of_part;
    begin = first + down;
    end = first + rows_of_part < rows ? first + rows_of_part : rows;
  }
};

// Mean and sum of squared distances from it, of `count` numbers. In float64: of numbers around 1000, the mean
// in float32 would be off by a ten-thousandth of what they differ by.
struct Moments {
  double count = 0, mean = 0, squares = 0;

  // Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983.
  __device__ void add(const Moments& other) {
    if (other.count == 0) return;
    const double all = count + other.count, apart = other.mean - mean;
    mean += apart * (other.count / all);
    squares += other.squares + apart * apart * (count * other.count / all);
    count = all;
  }
};

// Of each part of each channel: [parts, channels] means, then as many sums of squares.
template <class T>
__global__ void __launch_bounds__(kThreads)
    measure(BatchNormTraining args, std::int64_t rows_of_part, double* to) {
  const Place place(args.rows, rows_of_part);
  const T* x = static_cast<const T*>(args.x);
  Moments own;
  if (place.channel < args.channels && place.begin < place.end) {
    // About the first of them, so that numbers far from zero keep their digits.
    const float shift = widen(x[place.begin * args.channels + place.channel]);
    float sum = 0, squares = 0;
    for (std::int64_t row = place.begin; row < place.end; row += kDown) {
      const float apart = widen(x[row * args.channels + place.channel]) - shift;
      sum += apart;
      squares = fmaf(apart, apart, squares);
      own.count += 1;
    }
    const double mean = sum / own.count, spread = squares - sum * mean;
    own.mean = shift + mean;
    own.squares = spread > 0 ? spread : 0;
  }
  auto* means = shared_memory<double>();
  double* squares = means + kThreads;
  means[threadIdx.x] = own.mean;
  squares[threadIdx.x] = own.squares;
  __syncthreads();
  if (place.down != 0 || place.channel >= args.channels) return;
  Moments all;
  for (int down = 0; down < kDown; ++down) {
    const std::int64_t left = place.end - (place.begin + down);
    if (left <= 0) break;
    all.add({static_cast<double>((left + kDown - 1) / kDown), means[down * kAcross + place.across],
             squares[down * kAcross + place.across]});
  }
  const std::int64_t at = blockIdx.y * args.channels + place.channel;
  to[at] = all.mean;
  to[gridDim.y * args.channels + at] = all.squares;
}

// A channel's parts put together, and what a Prologue takes of it.
struct FinishMoments {
  BatchNormTraining args;
  std::int64_t parts, rows_of_part;
  const double* from;
  float* scaling;

  __device__ void operator()(std::int64_t channel) const {
    Moments all;
    for (std::int64_t part = 0; part < parts; ++part) {
      const std::int64_t left = args.rows - part * rows_of_part, at = part * args.channels + channel;
      if (left <= 0) break;
      all.add({static_cast<double>(left < rows_of_part ? left : rows_of_part), from[at],
               from[parts * args.channels + at]});
    }
    const auto mean = static_cast<float>(all.mean);
    const double variance = all.count > 0 ? all.squares / all.count : 0;
    static_cast<float*>(args.mean)[channel] = mean;
    static_cast<float*>(args.variance)[channel] = static_cast<float>(variance);
    // What rounding takes from the mean goes into the offset.
    const double scale = static_cast<const float*>(args.gamma)[channel] / sqrt(variance + args.epsilon);
    const double offset = static_cast<const float*>(args.beta)[channel] + (mean - all.mean) * scale;
    scaling[channel] = mean;
    scaling[args.channels + channel] = static_cast<float>(scale);
    scaling[2 * args.channels + channel] = static_cast<float>(offset);
  }
};

// As a prologue reads x, so that it makes no difference to the bits who normalises.
template <class T>
struct NormaliseNumber {
  const T* x;
  T* y;
  Normalised reading;

  __device__ void operator()(std::int64_t i) const {
    y[i] = narrow<T>(reading.channels<1>(i % reading.count).read(x[i], 0));
  }
};

Status run_training(const BatchNormTraining& args, const Launch& on) {
  const Parts parts(args.rows, args.channels);
  auto* moments = static_cast<double*>(on.workspace);
  auto* scaling = static_cast<float*>(args.scaling);
  if (scaling == nullptr) scaling = reinterpret_cast<float*>(moments + 2 * parts.count * args.channels);
  if (args.channels == 0) return nullptr;
  return with_number(args.type, [&](auto number) {
    using T = decltype(number);
    Status status = launch(measure<T>, grid_of(args.channels, parts), on, args, parts.rows_of_each, moments);
    if (status == nullptr) {
      status =
          for_each(on, args.channels, FinishMoments{args, parts.count, parts.rows_of_each, moments, scaling});
    }
    if (status != nullptr || args.y == nullptr) return status;
    const Normalised reading({scaling, args.activation}, args.channels);
    return for_each(on, args.rows * args.channels,
                    NormaliseNumber<T>{static_cast<const T*>(args.x), static_cast<T*>(args.y), reading});
  });
}

// ---- backward

// One channel's normalisation, by statistics that are known.
struct Channel {
  float mean, inverse_deviation, gamma, beta;

  template <class Args>
  __device__ static Channel of(const Args& args, std::int64_t channel) {
    const auto number = [&](const void* values) { return static_cast<const float*>(values)[channel]; };
    return {number(args.mean), 1 / sqrtf(number(args.variance) + static_cast<float>(args.epsilon)),
            number(args.gamma), number(args.beta)};
  }
  __device__ float normalised(float x) const { return (x - mean) * inverse_deviation; }
  __device__ float before_activation(float x) const { return fmaf(normalised(x), gamma, beta); }
};

template <class T>
struct Gradient {
  BatchNormBackward args;
  __device__ float operator()(const Channel& channel, std::int64_t at, float x) const {
    const float dy = widen(static_cast<const T*>(args.dy)[at]);
    return through(slope_at(args.activation, channel.before_activation(x)), dy);
  }
};

// Of each part of each channel: [parts, channels] sums of the gradient times the normalised x, then as many
// of the gradient itself.
template <class T>
__global__ void __launch_bounds__(kThreads)
    add_gradients(BatchNormBackward args, std::int64_t rows_of_part, float* to) {
  const Place place(args.rows, rows_of_part);
  const Gradient<T> gradient_of{args};
  float gamma = 0, beta = 0;
  if (place.channel < args.channels) {
    const Channel channel = Channel::of(args, place.channel);
    for (std::int64_t row = place.begin; row < place.end; row += kDown) {
      const std::int64_t at = row * args.channels + place.channel;
      const float x = widen(static_cast<const T*>(args.x)[at]), gradient = gradient_of(channel, at, x);
      gamma = fmaf(gradient, channel.normalised(x), gamma);
      beta += gradient;
    }
  }
  auto* gammas = shared_memory<float>();
  float* betas = gammas + kThreads;
  gammas[threadIdx.x] = gamma;
  betas[threadIdx.x] = beta;
  __syncthreads();
  if (place.down != 0 || place.channel >= args.channels) return;
  for (int down = 1; down < kDown; ++down) {
    gamma += gammas[down * kAcross + place.across];
    beta += betas[down * kAcross + place.across];
  }
  const std::int64_t at = blockIdx.y * args.channels + place.channel;
  to[at] = gamma;
  to[gridDim.y * args.channels + at] = beta;
}

// A channel's sums over all parts, into the first part's place and to where they are wanted.
struct FinishGradients {
  BatchNormBackward args;
  std::int64_t parts;
  float* sums;

  __device__ void operator()(std::int64_t channel) const {
    float gamma = 0, beta = 0;
    for (std::int64_t part = 0; part < parts; ++part) {
      gamma += sums[part * args.channels + channel];
      beta += sums[(parts + part) * args.channels + channel];
    }
    sums[channel] = gamma;
    sums[parts * args.channels + channel] = beta;
    if (args.dgamma != nullptr) static_cast<float*>(args.dgamma)[channel] = gamma;
    if (args.dbeta != nullptr) static_cast<float*>(args.dbeta)[channel] = beta;
  }
};

template <class T>
struct GradientOfX {
  BatchNormBackward args;
  const float* dgamma;
  const float* dbeta;

  __device__ void operator()(std::int64_t i) const {
    const std::int64_t at = i % args.channels;
    const Channel channel = Channel::of(args, at);
    const float x = widen(static_cast<const T*>(args.x)[i]);
    float gradient = Gradient<T>{args}(channel, i, x);
    if (args.batch_statistics) {
      gradient -= fmaf(channel.normalised(x), dgamma[at], dbeta[at]) / static_cast<float>(args.rows);
    }
    static_cast<T*>(args.dx)[i] = narrow<T>(gradient * channel.gamma * channel.inverse_deviation);
  }
};

Status run_backward(const BatchNormBackward& args, const Launch& on) {
  const Parts parts(args.rows, args.channels);
  auto* sums = static_cast<float*>(on.workspace);
  if (args.channels == 0) return nullptr;
  return with_number(args.type, [&](auto number) {
    using T = decltype(number);
    Status status =
        launch(add_gradients<T>, grid_of(args.channels, parts), on, args, parts.rows_of_each, sums);
    if (status == nullptr) status = for_each(on, args.channels, FinishGradients{args, parts.count, sums});
    if (status != nullptr || args.dx == nullptr) return status;
    return for_each(on, args.rows * args.channels,
                    GradientOfX<T>{args, sums, sums + parts.count * args.channels});
  });
}

std::size_t training_workspace(const BatchNormTraining& args, const Stream&) {
  const auto channels = static_cast<std::size_t>(args.channels);
  const auto parts = static_cast<std::size_t>(Parts(args.rows, args.channels).count);
  return 2 * parts * channels * sizeof(double) + 3 * channels * sizeof(float);
}

std::size_t backward_workspace(const BatchNormBackward& args, const Stream&) {
  return static_cast<std::size_t>(2 * Parts(args.rows, args.channels).count * args.channels) * sizeof(float);
}

}  // namespace

void add_norm_training_kernels(KernelTable& table) {
  table.batch_norm_training.add(
      {"batch_norm_training", is_of_numbers<BatchNormTraining>, training_workspace, run_training});
  table.batch_norm_backward.add(
      {"batch_norm_backward", is_of_numbers<BatchNormBackward>, backward_workspace, run_backward});
}

}  // namespace pila::kernels::cuda
