// Derivatives measured instead of derived, to hold backward kernels against.
#pragma once

#include <cstddef>
#include <vector>

namespace pila::test {

template <class A, class B>
double inner_product(const A& a, const B& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

// The gradient of f() with respect to `values`, which f reads, by central differences. Good to about eight
// digits where f is smooth, of size 1 and computed in float64.
template <class Values, class F>
std::vector<double> numerical_gradient(Values& values, const F& f, double step = 1e-5) {
  std::vector<double> gradient;
  for (auto& value : values) {
    const double kept = value;
    value = kept + step;
    const double above = f();
    value = kept - step;
    const double below = f();
    value = kept;
    gradient.push_back((above - below) / (2 * step));
  }
  return gradient;
}

}  // namespace pila::test
