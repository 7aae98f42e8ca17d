#include "engine/core/dtype.h"

namespace pila {

std::string to_string(DType type) {
  switch (type) {
    case DType::f32:
      return "float32";
    case DType::f64:
      return "float64";
    case DType::f16:
      return "float16";
    case DType::bf16:
      return "bfloat16";
    case DType::u8:
      return "uint8";
    case DType::i32:
      return "int32";
    case DType::i64:
      return "int64";
  }
  return "unknown";
}

std::string to_string(Precision precision) {
  switch (precision) {
    case Precision::f32:
      return "float32";
    case Precision::tf32:
      return "tf32";
    case Precision::f16:
      return "float16";
    case Precision::bf16:
      return "bfloat16";
    case Precision::i8:
      return "int8";
  }
  return "unknown";
}

}  // namespace pila
