#include "kernels/args/matmul.h"

#include "kernels/reference/epilogue.h"
#include "kernels/reference/families.h"
#include "kernels/reference/prologue.h"

namespace pila::kernels::reference {
namespace {

// Rows that share one read of b.
constexpr std::int64_t kRows = 8;

template <class T>
void matmul(const Matmul& args) {
  const auto* a = static_cast<const T*>(args.a);
  const auto* b = static_cast<const T*>(args.b);
  auto* c = static_cast<T*>(args.c);
  const std::int64_t a_row = args.transpose_a ? 1 : args.k, a_column = args.transpose_a ? args.m : 1;
  const std::int64_t b_row = args.transpose_b ? 1 : args.n, b_column = args.transpose_b ? args.k : 1;
  const std::int64_t channels = args.transpose_a ? args.m : args.k;
  const Factors<T> factors(args.rounding, b, args.k, args.n, b_row, b_column);
  for (std::int64_t top = 0; top < args.m; top += kRows) {
    const auto height = std::min(kRows, args.m - top);
    for_tiles(args.n, [&](auto left, auto width) {
      double sums[kRows][kTile] = {};
      double b_values[kTile];
      for (std::int64_t p = 0; p < args.k; ++p) {
        const T* from = b + p * b_row + left * b_column;
        for (std::int64_t j = 0; j < width; ++j) b_values[j] = factors.b(from[j * b_column], left + j);
        for (std::int64_t i = 0; i < height; ++i) {
          const T stored = a[(top + i) * a_row + p * a_column];
          const std::int64_t channel = args.transpose_a ? top + i : p;
          const double value = factors.a(read(args.prologue, stored, channel, channels));
          for (std::int64_t j = 0; j < width; ++j) sums[i][j] += value * b_values[j];
        }
      }
      for (std::int64_t i = 0; i < height; ++i) {
        for (std::int64_t j = 0; j < width; ++j) {
          const auto index = (top + i) * args.n + left + j;
          c[index] = finish<T>(args.epilogue, sums[i][j], left + j, index);
        }
      }
    });
  }
}

}  // namespace

void add_matmul_kernels(KernelTable& table) {
  table.matmul.add(product_kernel<Matmul, matmul<float>, matmul<double>>());
}

}  // namespace pila::kernels::reference
