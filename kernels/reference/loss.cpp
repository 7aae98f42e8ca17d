#include "kernels/args/loss.h"

#include <cmath>

#include "kernels/reference/families.h"

namespace pila::kernels::reference {
namespace {

// A row's largest value and the sum of exp(x - largest). NaN anywhere makes the sum NaN.
struct Partition {
  double largest, sum;

  double probability(double x) const { return std::exp(x - largest) / sum; }
  double log_probability(double x) const { return x - largest - std::log(sum); }
};

template <class T>
Partition partition_of(const T* row, std::int64_t columns) {
  Partition partition{row[0], 0};
  for (std::int64_t j = 1; j < columns; ++j) partition.largest = std::max<double>(partition.largest, row[j]);
  for (std::int64_t j = 0; j < columns; ++j) partition.sum += std::exp(row[j] - partition.largest);
  return partition;
}

template <class T>
void softmax_forward(const SoftmaxForward& args) {
  if (args.columns == 0) return;
  for (std::int64_t r = 0; r < args.rows; ++r) {
    const T* x = static_cast<const T*>(args.x) + r * args.columns;
    T* y = static_cast<T*>(args.y) + r * args.columns;
    const Partition partition = partition_of(x, args.columns);
    for (std::int64_t j = 0; j < args.columns; ++j) y[j] = static_cast<T>(partition.probability(x[j]));
  }
}

template <class T>
void softmax_backward(const SoftmaxBackward& args) {
  for (std::int64_t r = 0; r < args.rows; ++r) {
    const T* y = static_cast<const T*>(args.y) + r * args.columns;
    const T* dy = static_cast<const T*>(args.dy) + r * args.columns;
    T* dx = static_cast<T*>(args.dx) + r * args.columns;
    double sum = 0;
    for (std::int64_t j = 0; j < args.columns; ++j) sum += static_cast<double>(dy[j]) * y[j];
    for (std::int64_t j = 0; j < args.columns; ++j) dx[j] = static_cast<T>(y[j] * (dy[j] - sum));
  }
}

template <class T, class Args>
double weight_of(const Args& args, std::int32_t label) {
  return args.class_weights == nullptr
             ? 1
             : static_cast<double>(static_cast<const T*>(args.class_weights)[label]);
}

template <class Args>
double target(const Args& args, bool is_label) {
  return (is_label ? 1 - args.smoothing : 0) + args.smoothing / static_cast<double>(args.classes);
}

// Classes without a share in the target add nothing, even at a logit of -infinity.
template <class T>
void cross_entropy_forward(const CrossEntropyForward& args) {
  for (std::int64_t r = 0; r < args.rows; ++r) {
    const T* logits = static_cast<const T*>(args.logits) + r * args.classes;
    const auto label = args.labels[r];
    const Partition partition = partition_of(logits, args.classes);
    double loss = 0;
    for (std::int64_t j = 0; j < args.classes; ++j) {
      const double share = target(args, j == label);
      if (share != 0) loss -= share * partition.log_probability(logits[j]);
    }
    static_cast<T*>(args.losses)[r] = static_cast<T>(weight_of<T>(args, label) * loss);
  }
}

template <class T>
void cross_entropy_backward(const CrossEntropyBackward& args) {
  for (std::int64_t r = 0; r < args.rows; ++r) {
    const T* logits = static_cast<const T*>(args.logits) + r * args.classes;
    T* dlogits = static_cast<T*>(args.dlogits) + r * args.classes;
    const auto label = args.labels[r];
    const Partition partition = partition_of(logits, args.classes);
    const double scale = static_cast<const T*>(args.dlosses)[r] * weight_of<T>(args, label);
    for (std::int64_t j = 0; j < args.classes; ++j) {
      dlogits[j] = static_cast<T>(scale * (partition.probability(logits[j]) - target(args, j == label)));
    }
  }
}

}  // namespace

void add_loss_kernels(KernelTable& table) {
  table.softmax_forward.add(float_kernel<SoftmaxForward, softmax_forward<float>, softmax_forward<double>>());
  table.softmax_backward.add(
      float_kernel<SoftmaxBackward, softmax_backward<float>, softmax_backward<double>>());
  table.cross_entropy_forward.add(
      float_kernel<CrossEntropyForward, cross_entropy_forward<float>, cross_entropy_forward<double>>());
  table.cross_entropy_backward.add(
      float_kernel<CrossEntropyBackward, cross_entropy_backward<float>, cross_entropy_backward<double>>());
}

}  // namespace pila::kernels::reference
