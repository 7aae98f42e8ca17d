#include "layers/mixed_precision.h"

#include "engine/core/error.h"
#include "engine/ops/ops.h"

namespace pila {

Tensor rounded_for(const Context& ctx, const Tensor& weight, const Tensor& x) {
  return has_16_bits(x.type()) ? ops::cast(ctx, weight, x.type()) : weight;
}

Tensor widened(const Context& ctx, const Tensor& x) {
  return has_16_bits(x.type()) ? ops::cast(ctx, x, DType::f32) : x;
}

DType storage_type(Precision precision) {
  switch (precision) {
    case Precision::f16:
      return DType::f16;
    case Precision::bf16:
      return DType::bf16;
    default:
      return DType::f32;
  }
}

void check_training_precision(const Device& device, Precision precision) {
  const bool on_gpu = device.kernels().stores_16_bits;
  if (precision == Precision::f32 || (on_gpu && precision != Precision::i8)) return;
  throw UsageError("expected training in precision float32" +
                   std::string(on_gpu ? ", tf32, bfloat16 or float16" : "") + " on device " + device.name() +
                   ", got " + to_string(precision));
}

}  // namespace pila
