#include "kernels/args/elementwise.h"

#include "kernels/random.h"
#include "kernels/reference/families.h"

namespace pila::kernels::reference {
namespace {

double combine(BinaryKind kind, double a, double b) {
  switch (kind) {
    case BinaryKind::add:
      return a + b;
    case BinaryKind::subtract:
      return a - b;
    case BinaryKind::multiply:
      return a * b;
  }
  return 0;
}

// Writes the block of y that the axes from `axis` on span, and returns where the next one begins.
template <class T>
T* binary_from(const Binary& args, int axis, const T* a, const T* b, T* y) {
  if (axis == args.rank) {
    *y = static_cast<T>(combine(args.kind, *a, *b));
    return y + 1;
  }
  for (std::int64_t i = 0; i < args.shape[axis]; ++i) {
    y = binary_from(args, axis + 1, a + i * args.a_strides[axis], b + i * args.b_strides[axis], y);
  }
  return y;
}

template <class T>
void binary(const Binary& args) {
  binary_from(args, 0, static_cast<const T*>(args.a), static_cast<const T*>(args.b), static_cast<T*>(args.y));
}

template <class T>
void affine(const Affine& args) {
  const auto* x = static_cast<const T*>(args.x);
  auto* y = static_cast<T*>(args.y);
  for (std::int64_t i = 0; i < args.count; ++i) y[i] = static_cast<T>(x[i] * args.factor + args.offset);
}

template <class T>
void dropout(const Dropout& args) {
  const auto* x = static_cast<const T*>(args.x);
  auto* y = static_cast<T*>(args.y);
  const auto scale = static_cast<T>(1 / (1 - args.rate));
  for (std::int64_t i = 0; i < args.count; ++i) {
    const auto draw = args.first + i / args.group;
    const auto block = random_block(args.seed, *args.step, args.place, static_cast<std::uint32_t>(draw / 4));
    const bool kept = uniform(block.word[draw % 4]) >= args.rate;
    y[i] = kept ? x[i] * scale : T{0};
  }
}

}  // namespace

void add_elementwise_kernels(KernelTable& table) {
  table.binary.add(float_kernel<Binary, binary<float>, binary<double>>());
  table.affine.add(float_kernel<Affine, affine<float>, affine<double>>());
  table.dropout.add(float_kernel<Dropout, dropout<float>, dropout<double>>());
}

}  // namespace pila::kernels::reference
