#include "kernels/args/norm.h"

#include <cmath>

#include "kernels/reference/epilogue.h"
#include "kernels/reference/families.h"

namespace pila::kernels::reference {
namespace {

// One channel's normalisation.
struct Channel {
  double mean, inverse_deviation, gamma, beta;

  double normalised(double x) const { return (x - mean) * inverse_deviation; }
  double before_activation(double x) const { return normalised(x) * gamma + beta; }
};

template <class T, class Args>
Channel channel_of(const Args& args, std::int64_t c, double mean, double variance) {
  return {mean, 1 / std::sqrt(variance + args.epsilon), static_cast<const T*>(args.gamma)[c],
          static_cast<const T*>(args.beta)[c]};
}

template <class T, class Args>
void normalise(const Args& args, const Channel* channels, std::int64_t begin, std::int64_t size) {
  const auto* x = static_cast<const T*>(args.x);
  auto* y = static_cast<T*>(args.y);
  for (std::int64_t r = 0; r < args.rows; ++r) {
    const auto row = r * args.channels + begin;
    for (std::int64_t j = 0; j < size; ++j) {
      y[row + j] = static_cast<T>(activate(args.activation, channels[j].before_activation(x[row + j])));
    }
  }
}

// What rounding takes from the mean goes into the offset.
template <class T>
void write_scaling(const BatchNormTraining& args, const Channel& channel, std::int64_t c) {
  T* of_channel = static_cast<T*>(args.scaling) + c;
  const double scale = channel.gamma * channel.inverse_deviation;
  of_channel[0] = static_cast<T>(channel.mean);
  of_channel[args.channels] = static_cast<T>(scale);
  of_channel[2 * args.channels] =
      static_cast<T>(channel.beta + (static_cast<double>(of_channel[0]) - channel.mean) * scale);
}

// Two passes, mean first: the variance of data far from zero keeps its digits. No rows: mean and variance 0.
template <class T>
void batch_norm_training(const BatchNormTraining& args) {
  const auto* x = static_cast<const T*>(args.x);
  const auto rows = static_cast<double>(std::max<std::int64_t>(args.rows, 1));
  for_tiles(args.channels, [&](auto begin, auto size) {
    double means[kTile] = {}, variances[kTile] = {};
    for (std::int64_t r = 0; r < args.rows; ++r) {
      const T* row = x + r * args.channels + begin;
      for (std::int64_t j = 0; j < size; ++j) means[j] += row[j];
    }
    for (double& mean : means) mean /= rows;
    for (std::int64_t r = 0; r < args.rows; ++r) {
      const T* row = x + r * args.channels + begin;
      for (std::int64_t j = 0; j < size; ++j) variances[j] += (row[j] - means[j]) * (row[j] - means[j]);
    }
    Channel channels[kTile];
    for (std::int64_t j = 0; j < size; ++j) {
      variances[j] /= rows;
      channels[j] = channel_of<T>(args, begin + j, means[j], variances[j]);
      static_cast<T*>(args.mean)[begin + j] = static_cast<T>(means[j]);
      static_cast<T*>(args.variance)[begin + j] = static_cast<T>(variances[j]);
      if (args.scaling != nullptr) write_scaling<T>(args, channels[j], begin + j);
    }
    if (args.y != nullptr) normalise<T>(args, channels, begin, size);
  });
}

template <class T, class Args>
void channels_of(const Args& args, std::int64_t begin, std::int64_t size, Channel* channels) {
  for (std::int64_t j = 0; j < size; ++j) {
    channels[j] = channel_of<T>(args, begin + j, static_cast<const T*>(args.mean)[begin + j],
                                static_cast<const T*>(args.variance)[begin + j]);
  }
}

template <class T>
void batch_norm_inference(const BatchNormInference& args) {
  for_tiles(args.channels, [&](auto begin, auto size) {
    Channel channels[kTile];
    channels_of<T>(args, begin, size, channels);
    normalise<T>(args, channels, begin, size);
  });
}

// The gradient before the activation.
double masked(const BatchNormBackward& args, const Channel& channel, double x, double dy) {
  return through(slope_at(args.activation, channel.before_activation(x)), dy);
}

template <class T>
void batch_norm_backward(const BatchNormBackward& args) {
  const auto* x = static_cast<const T*>(args.x);
  const auto* dy = static_cast<const T*>(args.dy);
  auto* dx = static_cast<T*>(args.dx);
  const auto rows = static_cast<double>(args.rows);
  for_tiles(args.channels, [&](auto begin, auto size) {
    Channel channels[kTile];
    channels_of<T>(args, begin, size, channels);
    double dgamma[kTile] = {}, dbeta[kTile] = {};
    for (std::int64_t r = 0; r < args.rows; ++r) {
      const auto row = r * args.channels + begin;
      for (std::int64_t j = 0; j < size; ++j) {
        const double gradient = masked(args, channels[j], x[row + j], dy[row + j]);
        dgamma[j] += gradient * channels[j].normalised(x[row + j]);
        dbeta[j] += gradient;
      }
    }
    for (std::int64_t j = 0; j < size; ++j) {
      if (args.dgamma != nullptr) static_cast<T*>(args.dgamma)[begin + j] = static_cast<T>(dgamma[j]);
      if (args.dbeta != nullptr) static_cast<T*>(args.dbeta)[begin + j] = static_cast<T>(dbeta[j]);
    }
    if (dx == nullptr) return;
    for (std::int64_t r = 0; r < args.rows; ++r) {
      const auto row = r * args.channels + begin;
      for (std::int64_t j = 0; j < size; ++j) {
        double gradient = masked(args, channels[j], x[row + j], dy[row + j]);
        if (args.batch_statistics) {
          gradient -= (dbeta[j] + channels[j].normalised(x[row + j]) * dgamma[j]) / rows;
        }
        dx[row + j] = static_cast<T>(gradient * channels[j].gamma * channels[j].inverse_deviation);
      }
    }
  });
}

template <class T>
void fold_batch_norm(const FoldBatchNorm& args) {
  const auto* w = static_cast<const T*>(args.w);
  for (std::int64_t c = 0; c < args.channels; ++c) {
    const Channel channel =
        channel_of<T>(args, c, static_cast<const T*>(args.mean)[c], static_cast<const T*>(args.variance)[c]);
    const double scale = channel.gamma * channel.inverse_deviation;
    static_cast<T*>(args.bias)[c] = static_cast<T>(channel.beta - channel.mean * scale);
    for (std::int64_t i = c; i < args.rows * args.channels; i += args.channels) {
      static_cast<T*>(args.folded)[i] = static_cast<T>(w[i] * scale);
    }
  }
}

template <class T>
void fold_batch_norm_backward(const FoldBatchNormBackward& args) {
  const auto* w = static_cast<const T*>(args.w);
  const auto* dfolded = static_cast<const T*>(args.dfolded);
  for (std::int64_t c = 0; c < args.channels; ++c) {
    const auto number = [c](const void* values) {
      return static_cast<double>(static_cast<const T*>(values)[c]);
    };
    const double inverse_deviation = 1 / std::sqrt(number(args.variance) + args.epsilon);
    double sum = -number(args.mean) * number(args.dbias);
    for (std::int64_t i = c; i < args.rows * args.channels; i += args.channels) {
      sum += static_cast<double>(dfolded[i]) * w[i];
      if (args.dw == nullptr) continue;
      static_cast<T*>(args.dw)[i] = static_cast<T>(dfolded[i] * number(args.gamma) * inverse_deviation);
    }
    if (args.dgamma != nullptr) static_cast<T*>(args.dgamma)[c] = static_cast<T>(sum * inverse_deviation);
  }
}

template <class T>
void moving_average(const MovingAverage& args) {
  const auto* value = static_cast<const T*>(args.value);
  auto* average = static_cast<T*>(args.average);
  for (std::int64_t i = 0; i < args.count; ++i) {
    average[i] = static_cast<T>(average[i] * args.momentum + value[i] * (1 - args.momentum));
  }
}

}  // namespace

void add_norm_kernels(KernelTable& table) {
  table.batch_norm_training.add(
      float_kernel<BatchNormTraining, batch_norm_training<float>, batch_norm_training<double>>());
  table.batch_norm_inference.add(
      float_kernel<BatchNormInference, batch_norm_inference<float>, batch_norm_inference<double>>());
  table.batch_norm_backward.add(
      float_kernel<BatchNormBackward, batch_norm_backward<float>, batch_norm_backward<double>>());
  table.fold_batch_norm.add(float_kernel<FoldBatchNorm, fold_batch_norm<float>, fold_batch_norm<double>>());
  table.fold_batch_norm_backward.add(float_kernel<FoldBatchNormBackward, fold_batch_norm_backward<float>,
                                                  fold_batch_norm_backward<double>>());
  table.moving_average.add(float_kernel<MovingAverage, moving_average<float>, moving_average<double>>());
}

}  // namespace pila::kernels::reference
