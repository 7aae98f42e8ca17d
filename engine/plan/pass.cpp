#include "engine/plan/pass.h"

#include "engine/plan/passes/passes.h"

namespace pila {

std::vector<const Pass*> inference_passes(DType precision) {
  static const FoldConstants fold_constants;
  static const DropIdentity drop_identity;
  static const MergeEqual merge_equal;
  static const FusePadding fuse_padding;
  static const FoldBatchNorm fold_batch_norm;
  static const FuseActivation fuse_activation;
  static const FuseResidual fuse_residual;
  static const FusePixels fuse_pixels;
  static const FuseInvertedResidual fuse_inverted_residual;
  static const FusePooling fuse_pooling;
  static const LowerPrecision to_float32(DType::f32), to_bfloat16(DType::bf16);
  return {&fold_constants,
          &drop_identity,
          &merge_equal,
          &fuse_padding,
          &fold_batch_norm,
          &fuse_activation,
          &fuse_residual,
          &fuse_pixels,
          &fuse_inverted_residual,
          &fuse_pooling,
          precision == DType::bf16 ? &to_bfloat16 : &to_float32};
}

}  // namespace pila
