#include "kernels/args/reduce.h"

#include "kernels/reference/families.h"

namespace pila::kernels::reference {
namespace {

// The mean of nothing is NaN, its sum 0.
template <class T>
void reduce(const Reduce& args) {
  const auto* x = static_cast<const T*>(args.x);
  auto* y = static_cast<T*>(args.y);
  const auto divisor = args.kind == ReduceKind::mean ? static_cast<double>(args.reduced) : 1.0;
  for (std::int64_t o = 0; o < args.outer; ++o) {
    for_tiles(args.inner, [&](auto begin, auto size) {
      double sums[kTile] = {};
      for (std::int64_t r = 0; r < args.reduced; ++r) {
        const T* row = x + (o * args.reduced + r) * args.inner + begin;
        for (std::int64_t j = 0; j < size; ++j) sums[j] += row[j];
      }
      T* row = y + o * args.inner + begin;
      for (std::int64_t j = 0; j < size; ++j) row[j] = static_cast<T>(sums[j] / divisor);
    });
  }
}

template <class T>
void repeat(const Repeat& args) {
  const auto* x = static_cast<const T*>(args.x);
  auto* y = static_cast<T*>(args.y);
  for (std::int64_t o = 0; o < args.outer; ++o) {
    for (std::int64_t r = 0; r < args.repeated; ++r) {
      for (std::int64_t i = 0; i < args.inner; ++i) {
        *y++ = static_cast<T>(x[o * args.inner + i] * args.scale);
      }
    }
  }
}

}  // namespace

void add_reduce_kernels(KernelTable& table) {
  table.reduce.add(float_kernel<Reduce, reduce<float>, reduce<double>>());
  table.repeat.add(float_kernel<Repeat, repeat<float>, repeat<double>>());
}

}  // namespace pila::kernels::reference
