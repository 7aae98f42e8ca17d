#include "engine/parallel/gradients.h"

#include <algorithm>

namespace pila {

void sum_over_ranks(const Context& ctx, std::span<const Tensor> parameters, Gradients& gradients) {
  // One after the other; then, for each, on how many ranks there is one.
  std::size_t elements = 0;
  for (const Tensor& parameter : parameters) {
    elements += static_cast<std::size_t>(parameter.shape().elements());
  }
  std::vector<float> all(elements + parameters.size());
  auto place = all.begin();
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    if (const Tensor gradient = gradients.of(parameters[p])) {
      std::ranges::copy(gradient.to_vector<float>(ctx), place);
      all[elements + p] = 1;
    }
    place += parameters[p].shape().elements();
  }
  ctx.ranks().sum(all);
  std::span<const float> rest = all;
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    const Shape& shape = parameters[p].shape();
    const auto count = static_cast<std::size_t>(shape.elements());
    if (all[elements + p] > 0) gradients.set(parameters[p], Tensor::from(ctx, shape, rest.first(count)));
    rest = rest.subspan(count);
  }
}

}  // namespace pila
