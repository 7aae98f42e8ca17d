// One pass a file; plan/pass.h lists them in order.
#pragma once

#include "engine/plan/pass.h"

namespace pila {

#define PILA_PASS(Class, pass_name)                                   \
  class Class : public Pass {                                         \
   public:                                                            \
    std::string_view name() const override { return pass_name; }      \
    std::size_t run(const Context& ctx, Graph& graph) const override; \
  }

// Computes once what depends on constants alone.
PILA_PASS(FoldConstants, "fold-constants");
// Drops what changes nothing: a factor of 1, borders of 0, the same shape again.
PILA_PASS(DropIdentity, "drop-identity");
// Computes once what is computed twice.
PILA_PASS(MergeEqual, "merge-equal");
// Puts the borders before a convolution into its window.
PILA_PASS(FusePadding, "fuse-padding");
// Multiplies batch normalisation into the weights and bias of the convolution or product before it, where
// nobody else reads that one's sums.
PILA_PASS(FoldBatchNorm, "fold-batch-norm");
// Puts an activation into the last step of the operation before it.
PILA_PASS(FuseActivation, "fuse-activation");
// Puts a sum into the last step of the convolution or product that makes one of its terms.
PILA_PASS(FuseResidual, "fuse-residual");
// Lets the first convolution read pixels.
PILA_PASS(FusePixels, "fuse-pixels");
// Makes one operation of a depthwise convolution and the pointwise ones before and behind it, or of as many
// of them as there are.
PILA_PASS(FuseInvertedResidual, "fuse-inverted-residual");
// Averages a product's rows where they are made.
PILA_PASS(FusePooling, "fuse-pooling");

#undef PILA_PASS

// Lets products of float32 with constant weights round their factors, to fewer than 32 bits on devices that
// do no more in 16; to bfloat16, also convolutions of images, to TF32 all that are not depthwise; to int8,
// those products that have a range. Throws UsageError for ranges of products that there are not.
class LowerPrecision : public Pass {
 public:
  explicit LowerPrecision(Precision precision, Ranges ranges = {});
  std::string_view name() const override { return "lower-precision"; }
  std::size_t run(const Context& ctx, Graph& graph) const override;

 private:
  const Precision precision_;
  const Ranges ranges_;
};

// Stores constants and all that passes between operations in 16 bits, on devices that have kernels for that:
// biases stay in float32, and so does what operations without such kernels read and make, such as softmax.
// The graph's inputs and outputs keep their types.
class Store16Bits : public Pass {
 public:
  explicit Store16Bits(Precision precision) : precision_(precision) {}
  std::string_view name() const override { return "store-16-bits"; }
  std::size_t run(const Context& ctx, Graph& graph) const override;

 private:
  const Precision precision_;
};

// Whether a node is a product that LowerPrecision may change.
bool can_be_lowered(const Graph& graph, const Node& node);

}  // namespace pila
