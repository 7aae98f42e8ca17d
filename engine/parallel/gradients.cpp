#include "engine/parallel/gradients.h"

namespace pila {
namespace {

// Where each parameter's gradient lies when they follow each other, and their end, in numbers from the first:
// kernels want addresses that are multiples of 64 bytes.
std::vector<std::int64_t> places_of(std::span<const Tensor> parameters) {
  constexpr std::int64_t kAligned = 64 / sizeof(float);
  std::vector<std::int64_t> places = {0};
  for (const Tensor& parameter : parameters) {
    const std::int64_t lines = (parameter.shape().elements() + kAligned - 1) / kAligned;
    places.push_back(places.back() + lines * kAligned);
  }
  return places;
}

Tensor part_of(const Tensor& all, std::int64_t place, const Shape& shape) {
  return all.within(static_cast<std::size_t>(place) * sizeof(float), {shape, DType::f32});
}

}  // namespace

void sum_over_ranks(const Context& ctx, std::span<const Tensor> parameters, Gradients& gradients) {
  if (parameters.empty()) return;
  // One after the other; then, for each, on how many ranks there is one.
  const auto count = static_cast<std::int64_t>(parameters.size());
  const std::vector<std::int64_t> places = places_of(parameters);
  const Tensor all = Tensor::zeros(ctx, {{places.back() + count}, DType::f32});
  const auto summed = [&](std::size_t p) { return part_of(all, places[p], parameters[p].shape()); };
  std::vector<float> found(parameters.size());
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    if (const Tensor gradient = gradients.of(parameters[p])) {
      summed(p).assign(ctx, gradient);
      found[p] = 1;
    }
  }
  const Tensor on_ranks = part_of(all, places.back(), {count});
  on_ranks.assign(ctx, std::span<const float>(found));
  ctx.ranks().sum(ctx, all);
  found = on_ranks.to_vector<float>(ctx);
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    if (found[p] > 0) gradients.set(parameters[p], summed(p));
  }
}

}  // namespace pila
