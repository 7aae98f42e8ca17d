#include "engine/plan/pass.h"

#include "engine/plan/passes/passes.h"

namespace pila {

std::vector<std::shared_ptr<const Pass>> inference_passes(Precision precision, const Ranges& ranges) {
  return {std::make_shared<FoldConstants>(),
          std::make_shared<DropIdentity>(),
          std::make_shared<MergeEqual>(),
          std::make_shared<FusePadding>(),
          std::make_shared<FoldBatchNorm>(),
          std::make_shared<FuseActivation>(),
          std::make_shared<FuseResidual>(),
          std::make_shared<FusePixels>(),
          std::make_shared<LowerPrecision>(precision, ranges),
          std::make_shared<Store16Bits>(precision),
          std::make_shared<FuseInvertedResidual>(),
          std::make_shared<FusePooling>()};
}

}  // namespace pila
