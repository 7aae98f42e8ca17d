// Batch normalisation as part of the weights before it. Weights are few beside a batch's images: plain loops,
// on one thread.
#include <cmath>

#include "kernels/args/norm.h"
#include "kernels/cpu/families.h"

namespace pila::kernels::cpu {
namespace {

const float* floats(const void* data) { return static_cast<const float*>(data); }

template <class Args>
bool is_float32(const Args& args) {
  return args.type == DType::f32;
}

double inverse_deviation(const void* variance, std::int64_t channel, double epsilon) {
  return 1 / std::sqrt(static_cast<double>(floats(variance)[channel]) + epsilon);
}

// to[r, c] = from[r, c] * scale[c].
void scale_rows(std::int64_t rows, std::int64_t channels, const float* from, const float* scale, float* to) {
  for (std::int64_t row = 0; row < rows; ++row, from += channels, to += channels) {
    for (std::int64_t c = 0; c < channels; ++c) to[c] = from[c] * scale[c];
  }
}

std::size_t fold_workspace(const FoldBatchNorm& args, const Stream&) {
  return static_cast<std::size_t>(args.channels) * sizeof(float);
}

Status fold(const FoldBatchNorm& args, const Launch& launch) {
  auto* scales = static_cast<float*>(launch.workspace);
  for (std::int64_t c = 0; c < args.channels; ++c) {
    const double scale = floats(args.gamma)[c] * inverse_deviation(args.variance, c, args.epsilon);
    scales[c] = static_cast<float>(scale);
    static_cast<float*>(args.bias)[c] =
        static_cast<float>(floats(args.beta)[c] - floats(args.mean)[c] * scale);
  }
  scale_rows(args.rows, args.channels, floats(args.w), scales, static_cast<float*>(args.folded));
  return nullptr;
}

std::size_t backward_workspace(const FoldBatchNormBackward& args, const Stream&) {
  return static_cast<std::size_t>(args.channels) * sizeof(double);
}

Status fold_backward(const FoldBatchNormBackward& args, const Launch& launch) {
  const std::int64_t channels = args.channels;
  if (args.dgamma != nullptr) {
    auto* sums = static_cast<double*>(launch.workspace);
    for (std::int64_t c = 0; c < channels; ++c) {
      sums[c] = -static_cast<double>(floats(args.mean)[c]) * floats(args.dbias)[c];
    }
    const float *w = floats(args.w), *gradient = floats(args.dfolded);
    for (std::int64_t row = 0; row < args.rows; ++row, w += channels, gradient += channels) {
      for (std::int64_t c = 0; c < channels; ++c) sums[c] += static_cast<double>(w[c]) * gradient[c];
    }
    for (std::int64_t c = 0; c < channels; ++c) {
      const double deviation = inverse_deviation(args.variance, c, args.epsilon);
      static_cast<float*>(args.dgamma)[c] = static_cast<float>(sums[c] * deviation);
    }
  }
  if (args.dw != nullptr) {
    auto* scales = static_cast<float*>(launch.workspace);
    for (std::int64_t c = 0; c < channels; ++c) {
      scales[c] =
          static_cast<float>(floats(args.gamma)[c] * inverse_deviation(args.variance, c, args.epsilon));
    }
    scale_rows(args.rows, channels, floats(args.dfolded), scales, static_cast<float*>(args.dw));
  }
  return nullptr;
}

}  // namespace

void add_fold_norm_kernels(KernelTable& table) {
  table.fold_batch_norm.add({"fold_batch_norm_f32", is_float32<FoldBatchNorm>, fold_workspace, fold});
  table.fold_batch_norm_backward.add(
      {"fold_batch_norm_backward_f32", is_float32<FoldBatchNormBackward>, backward_workspace, fold_backward});
}

}  // namespace pila::kernels::cpu
