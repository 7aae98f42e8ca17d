#include "kernels/args/optimizer.h"

#include <cmath>

#include "kernels/reference/families.h"

namespace pila::kernels::reference {
namespace {

template <class T>
T moved(double average, double value, double momentum) {
  return static_cast<T>(average * momentum + value * (1 - momentum));
}

template <class T>
void adam(const Adam& args) {
  const auto t = static_cast<double>(*args.step);
  const double gradient_scale =
      args.gradient_scale == nullptr ? 1 : *static_cast<const T*>(args.gradient_scale);
  if (std::isnan(gradient_scale)) return;
  const double correction = std::sqrt(1 - std::pow(args.beta2, t)) / (1 - std::pow(args.beta1, t));
  for (std::int64_t s = 0; s < args.segment_count; ++s) {
    const AdamSegment& segment = args.segments[s];
    const double rate = *static_cast<const T*>(args.rate) * segment.rate_factor;
    const auto* gradients = static_cast<const T*>(segment.gradient);
    auto* parameters = static_cast<T*>(segment.parameter);
    auto* first_moments = static_cast<T*>(segment.first_moment);
    auto* second_moments = static_cast<T*>(segment.second_moment);
    auto* averages = static_cast<T*>(segment.average);
    for (std::int64_t i = 0; i < segment.count; ++i) {
      const double g = gradients[i] * gradient_scale;
      double w = parameters[i], m = first_moments[i], v = second_moments[i];
      w -= w * segment.weight_decay * rate;
      m += (g - m) * (1 - args.beta1);
      v += (g * g - v) * (1 - args.beta2);
      w -= m * rate * correction / (std::sqrt(v) + args.epsilon);
      parameters[i] = static_cast<T>(w);
      first_moments[i] = static_cast<T>(m);
      second_moments[i] = static_cast<T>(v);
      if (averages != nullptr) averages[i] = moved<T>(averages[i], parameters[i], *args.momentum);
    }
  }
}

template <class T>
void gradient_norm(const GradientNorm& args) {
  double squares = 0;
  for (std::int64_t s = 0; s < args.segment_count; ++s) {
    const auto* gradients = static_cast<const T*>(args.segments[s].gradient);
    for (std::int64_t i = 0; i < args.segments[s].count; ++i) {
      squares += static_cast<double>(gradients[i]) * gradients[i];
    }
  }
  const double loss_scale = args.loss_scale == nullptr ? 1 : *static_cast<const T*>(args.loss_scale);
  const auto norm = static_cast<T>(std::sqrt(squares) / loss_scale);
  *static_cast<T*>(args.norm) = norm;
  *static_cast<T*>(args.scale) = static_cast<T>(clip_factor(norm, args.limit) / loss_scale);
}

template <class T>
void weight_average(const WeightAverage& args) {
  const double momentum = *args.momentum;
  for (std::int64_t s = 0; s < args.segment_count; ++s) {
    const auto* values = static_cast<const T*>(args.segments[s].value);
    auto* averages = static_cast<T*>(args.segments[s].average);
    for (std::int64_t i = 0; i < args.segments[s].count; ++i) {
      averages[i] = moved<T>(averages[i], values[i], momentum);
    }
  }
}

}  // namespace

void add_optimizer_kernels(KernelTable& table) {
  table.adam.add(float_kernel<Adam, adam<float>, adam<double>>());
  table.gradient_norm.add(float_kernel<GradientNorm, gradient_norm<float>, gradient_norm<double>>());
  table.weight_average.add(float_kernel<WeightAverage, weight_average<float>, weight_average<double>>());
}

}  // namespace pila::kernels::reference
