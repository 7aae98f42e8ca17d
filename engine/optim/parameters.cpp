#include "engine/optim/parameters.h"

#include <set>
#include <string>

#include "engine/ops/support.h"

namespace pila {

void check_parameters(std::string_view op, std::span<const Tensor> parameters) {
  std::set<std::uint64_t> seen;
  for (const Tensor& parameter : parameters) {
    const DType type = parameters[0].type();
    const TensorSpec& spec = parameter.spec();
    if (spec.type != type || (type != DType::f32 && type != DType::f64)) {
      ops::throw_expected(op, "parameters of one type, float32 or float64",
                          to_string(type) + " and " + spec.to_string());
    }
    if (!seen.insert(parameter.id()).second) {
      throw UsageError("[" + std::string(op) + "] expected each parameter once, got " + spec.to_string() +
                       " twice");
    }
  }
}

}  // namespace pila
