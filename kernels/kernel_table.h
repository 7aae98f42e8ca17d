// One table per device: for every operation, the kernels that can do it.
//
// A kernel gets valid, dense, 64-byte-aligned-at-base pointers that do not overlap unless its arguments say
// so, allocates nothing, and throws nothing.
#pragma once

#include <array>
#include <cstddef>

#include "kernels/args/augment.h"
#include "kernels/args/conv.h"
#include "kernels/args/elementwise.h"
#include "kernels/args/image.h"
#include "kernels/args/inverted_residual.h"
#include "kernels/args/loss.h"
#include "kernels/args/matmul.h"
#include "kernels/args/norm.h"
#include "kernels/args/optimizer.h"
#include "kernels/args/pool.h"
#include "kernels/args/reduce.h"
#include "kernels/device_api.h"

namespace pila::kernels {

// Null when all went well, else what went wrong, in a string that outlives the program's main.
using Status = const char*;

// Where and with what scratch memory a kernel runs.
struct Launch {
  Stream* stream = nullptr;
  void* workspace = nullptr;       // at least what Kernel::workspace asked for, 64-byte aligned
  const void* prepared = nullptr;  // what Preparation::run wrote; null where nothing was prepared
};

// How a kernel likes its weights, for those who run it often with the same ones. Which of an operation's
// arguments are weights is said where its arguments are declared; pointers to other things may be null here.
// Runs with prepared weights read biases where they are, and no other weights.
template <class Args>
struct Preparation {
  std::size_t (*size)(const Args&, const Stream&) = nullptr;       // bytes
  Status (*run)(const Args&, void* to, const Launch&) = nullptr;   // `to` is 64-byte aligned
  std::size_t (*workspace)(const Args&, const Stream&) = nullptr;  // bytes of runs with Launch::prepared
};

template <class Args>
struct Kernel {
  const char* name = nullptr;
  bool (*supports)(const Args&) = nullptr;                         // types and shapes
  std::size_t (*workspace)(const Args&, const Stream&) = nullptr;  // bytes; null for none
  Status (*run)(const Args&, const Launch&) = nullptr;
  Preparation<Args> prepare = {};  // all null where there is nothing to gain
};

// The kernels for one operation, best first.
template <class Args>
class Entry {
 public:
  void add(const Kernel<Args>& kernel) { kernels_[count_++] = kernel; }
  bool empty() const { return count_ == 0; }
  const Kernel<Args>* begin() const { return kernels_.data(); }
  const Kernel<Args>* end() const { return kernels_.data() + count_; }

  // The first kernel that supports the arguments; null when none does.
  const Kernel<Args>* select(const Args& args) const {
    for (const auto& kernel : *this) {
      if (kernel.supports(args)) return &kernel;
    }
    return nullptr;
  }

 private:
  std::array<Kernel<Args>, 8> kernels_{};
  std::size_t count_ = 0;
};

// Every operation: X(arguments, entry).
#define PILA_KERNEL_ENTRIES(X)                          \
  X(ConvForward, conv_forward)                          \
  X(ConvBackwardData, conv_backward_data)               \
  X(ConvBackwardFilter, conv_backward_filter)           \
  X(DepthwiseForward, depthwise_forward)                \
  X(DepthwiseBackwardData, depthwise_backward_data)     \
  X(DepthwiseBackwardFilter, depthwise_backward_filter) \
  X(DepthwiseGradients, depthwise_gradients)            \
  X(ImageConvForward, image_conv_forward)               \
  X(Matmul, matmul)                                     \
  X(MatmulGradients, matmul_gradients)                  \
  X(PooledMatmul, pooled_matmul)                        \
  X(InvertedResidual, inverted_residual)                \
  X(BatchNormTraining, batch_norm_training)             \
  X(BatchNormInference, batch_norm_inference)           \
  X(BatchNormBackward, batch_norm_backward)             \
  X(FoldBatchNorm, fold_batch_norm)                     \
  X(FoldBatchNormBackward, fold_batch_norm_backward)    \
  X(MovingAverage, moving_average)                      \
  X(ActivationForward, activation_forward)              \
  X(ActivationBackward, activation_backward)            \
  X(Binary, binary)                                     \
  X(Affine, affine)                                     \
  X(Dropout, dropout)                                   \
  X(Cast, cast)                                         \
  X(Fill, fill)                                         \
  X(Reduce, reduce)                                     \
  X(Repeat, repeat)                                     \
  X(Pad, pad)                                           \
  X(Crop, crop)                                         \
  X(MaxPoolForward, max_pool_forward)                   \
  X(MaxPoolBackward, max_pool_backward)                 \
  X(SoftmaxForward, softmax_forward)                    \
  X(SoftmaxBackward, softmax_backward)                  \
  X(CrossEntropyForward, cross_entropy_forward)         \
  X(CrossEntropyBackward, cross_entropy_backward)       \
  X(ImageToFloat, image_to_float)                       \
  X(ResizeBilinear, resize_bilinear)                    \
  X(Augment, augment)                                   \
  X(MixReversed, mix_reversed)                          \
  X(Adam, adam)                                         \
  X(GradientNorm, gradient_norm)                        \
  X(WeightAverage, weight_average)

struct KernelTable {
  const char* device = "";
  const char* lacks_bf16 = nullptr;  // what the processor would need for products of bf16; null: nothing
  // Whether networks in f16 and bf16 are stored so, weights and all that passes between operations. Else only
  // factors of products of float32 are rounded, to bf16 or i8.
  bool stores_16_bits = false;
#define PILA_DECLARE_ENTRY(Args, entry) Entry<Args> entry;
  PILA_KERNEL_ENTRIES(PILA_DECLARE_ENTRY)
#undef PILA_DECLARE_ENTRY
};

// The entry of a table that takes these arguments.
#define PILA_ENTRY_OF(Args, entry) \
  inline const Entry<Args>& entry_of(const KernelTable& table, const Args*) { return table.entry; }
PILA_KERNEL_ENTRIES(PILA_ENTRY_OF)
#undef PILA_ENTRY_OF

// Calls visit(name of the entry, entry) for every entry.
template <class Visit>
void for_each_entry(const KernelTable& table, Visit&& visit) {
#define PILA_VISIT_ENTRY(Args, entry) visit(#entry, table.entry);
  PILA_KERNEL_ENTRIES(PILA_VISIT_ENTRY)
#undef PILA_VISIT_ENTRY
}

}  // namespace pila::kernels
