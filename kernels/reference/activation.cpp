#include "kernels/args/elementwise.h"
#include "kernels/reference/epilogue.h"
#include "kernels/reference/families.h"

namespace pila::kernels::reference {
namespace {

template <class T>
void activation_forward(const ActivationForward& args) {
  const auto* x = static_cast<const T*>(args.x);
  auto* y = static_cast<T*>(args.y);
  for (std::int64_t i = 0; i < args.count; ++i) y[i] = static_cast<T>(activate(args.kind, x[i]));
}

template <class T>
void activation_backward(const ActivationBackward& args) {
  const auto* value = static_cast<const T*>(args.value);
  const auto* dy = static_cast<const T*>(args.dy);
  auto* dx = static_cast<T*>(args.dx);
  for (std::int64_t i = 0; i < args.count; ++i) {
    dx[i] = static_cast<T>(through(slope_from_kept(args.kind, value[i]), dy[i]));
  }
}

}  // namespace

void add_activation_kernels(KernelTable& table) {
  table.activation_forward.add(
      float_kernel<ActivationForward, activation_forward<float>, activation_forward<double>>());
  table.activation_backward.add(
      float_kernel<ActivationBackward, activation_backward<float>, activation_backward<double>>());
}

}  // namespace pila::kernels::reference
