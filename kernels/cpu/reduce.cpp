#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/reduce.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/cpu/simd.h"

// Sums are kept in float64: beside the memory's speed the conversions cost nothing, and no order of summation
// in float32 is as exact.

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

using DoubleTag = hn::ScalableTag<double>;
using DoubleVector = hn::Vec<DoubleTag>;
constexpr std::size_t kDoubleLanes = hn::MaxLanes(DoubleTag());

HWY_INLINE DoubleVector load_double(const float* from) {
  const DoubleTag d;
  return hn::PromoteTo(d, hn::LoadU(hn::Rebind<float, DoubleTag>(), from));
}

double sum_of(const float* x, std::size_t count) {
  const DoubleTag d;
  constexpr std::size_t lanes = kDoubleLanes;
  DoubleVector sum0 = hn::Zero(d), sum1 = hn::Zero(d), sum2 = hn::Zero(d), sum3 = hn::Zero(d);
  std::size_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    sum0 = hn::Add(sum0, load_double(x + i));
    sum1 = hn::Add(sum1, load_double(x + i + lanes));
    sum2 = hn::Add(sum2, load_double(x + i + 2 * lanes));
    sum3 = hn::Add(sum3, load_double(x + i + 3 * lanes));
  }
  double sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3))));
  for (; i < count; ++i) sum += static_cast<double>(x[i]);
  return sum;
}

// sums[i] = sum over rows of x[row * stride + i], i in [0, width).
void sum_rows(const float* x, std::int64_t rows, std::int64_t stride, std::size_t width, double* sums) {
  const DoubleTag d;
  std::fill(sums, sums + width, 0.0);
  std::int64_t row = 0;
  for (; row + 4 <= rows; row += 4) {
    const float* x0 = x + row * stride;
    const float* x1 = x0 + stride;
    const float* x2 = x1 + stride;
    const float* x3 = x2 + stride;
    std::size_t i = 0;
    for (; i + kDoubleLanes <= width; i += kDoubleLanes) {
      const auto low = hn::Add(load_double(x0 + i), load_double(x1 + i));
      const auto high = hn::Add(load_double(x2 + i), load_double(x3 + i));
      hn::StoreU(hn::Add(hn::LoadU(d, sums + i), hn::Add(low, high)), d, sums + i);
    }
    for (; i < width; ++i) {
      sums[i] += (static_cast<double>(x0[i]) + static_cast<double>(x1[i])) +
                 (static_cast<double>(x2[i]) + static_cast<double>(x3[i]));
    }
  }
  for (; row < rows; ++row) {
    const float* x0 = x + row * stride;
    std::size_t i = 0;
    for (; i + kDoubleLanes <= width; i += kDoubleLanes) {
      hn::StoreU(hn::Add(hn::LoadU(d, sums + i), load_double(x0 + i)), d, sums + i);
    }
    for (; i < width; ++i) sums[i] += static_cast<double>(x0[i]);
  }
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "kernels/cpu/families.h"
#include "kernels/cpu/pieces.h"

namespace pila::kernels::cpu {
namespace {

HWY_EXPORT(sum_of);
HWY_EXPORT(sum_rows);

constexpr std::int64_t kTile = 512;          // numbers whose sums stay in the nearest cache
constexpr std::int64_t kChunk = 2 * kPiece;  // elements that one task adds up

// How [outer, reduced, inner] is cut, by nothing but its shape: the reduced axis into chunks of rows, the
// inner axis into tiles.
struct Cut {
  explicit Cut(const Reduce& args)
      : inner(args.inner),
        reduced(args.reduced),
        chunk_rows(std::max(std::int64_t{64}, kChunk / std::max(std::int64_t{1}, args.inner))),
        chunks(std::max(std::int64_t{1}, pieces_of(args.reduced, chunk_rows))),
        tiles(pieces_of(args.inner, kTile)) {}

  std::int64_t rows(std::int64_t chunk) const { return std::min(chunk_rows, reduced - chunk * chunk_rows); }
  std::int64_t width(std::int64_t tile) const { return std::min(kTile, inner - tile * kTile); }

  std::int64_t inner, reduced;
  std::int64_t chunk_rows, chunks, tiles;
};

// Partial sums [outer, chunks, inner], where there is more than one chunk.
std::size_t workspace_for_reduce(const Reduce& args, const Stream&) {
  const Cut cut(args);
  return cut.chunks == 1 ? 0 : static_cast<std::size_t>(args.outer * cut.chunks * cut.inner) * sizeof(double);
}

void sum_tile(const float* x, std::int64_t rows, std::int64_t inner, std::int64_t width, double* sums) {
  if (inner == 1) {
    *sums = HWY_DYNAMIC_DISPATCH(sum_of)(x, static_cast<std::size_t>(rows));
  } else {
    HWY_DYNAMIC_DISPATCH(sum_rows)(x, rows, inner, static_cast<std::size_t>(width), sums);
  }
}

Status run_reduce(const Reduce& args, const Launch& launch) {
  const Cut cut(args);
  const auto* x = static_cast<const float*>(args.x);
  auto* y = static_cast<float*>(args.y);
  auto* partial = static_cast<double*>(launch.workspace);
  const double divisor = args.kind == ReduceKind::mean ? static_cast<double>(args.reduced) : 1.0;
  const auto finish = [&](const double* sums, std::int64_t o, std::int64_t tile) {
    float* to = y + o * cut.inner + tile * kTile;
    for (std::int64_t i = 0; i < cut.width(tile); ++i) to[i] = static_cast<float>(sums[i] / divisor);
  };
  auto& pool = pool_of(*launch.stream);

  const std::int64_t tasks = args.outer * cut.chunks * cut.tiles;
  const std::int64_t size = cut.rows(0) * std::min(cut.inner, kTile);
  const std::int64_t tasks_in_piece = std::max(std::int64_t{1}, kChunk / std::max(std::int64_t{1}, size));
  run_pieces(pool, tasks, tasks_in_piece, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t tile = task % cut.tiles;
      const std::int64_t chunk = task / cut.tiles % cut.chunks;
      const std::int64_t o = task / cut.tiles / cut.chunks;
      const float* from = x + (o * cut.reduced + chunk * cut.chunk_rows) * cut.inner + tile * kTile;
      double here[kTile];
      double* sums = cut.chunks == 1 ? here : partial + (o * cut.chunks + chunk) * cut.inner + tile * kTile;
      sum_tile(from, cut.rows(chunk), cut.inner, cut.width(tile), sums);
      if (cut.chunks == 1) finish(sums, o, tile);
    }
  });
  if (cut.chunks == 1) return nullptr;

  run_pieces(pool, args.outer * cut.tiles, 1, [&](std::int64_t task, std::int64_t) {
    const std::int64_t tile = task % cut.tiles, o = task / cut.tiles;
    const double* from = partial + o * cut.chunks * cut.inner + tile * kTile;
    double sums[kTile] = {};
    for (std::int64_t chunk = 0; chunk < cut.chunks; ++chunk, from += cut.inner) {
      for (std::int64_t i = 0; i < cut.width(tile); ++i) sums[i] += from[i];
    }
    finish(sums, o, tile);
  });
  return nullptr;
}

}  // namespace

void add_reduce_kernels(KernelTable& table) {
  table.reduce.add({"reduce_f32", [](const Reduce& args) { return args.type == DType::f32; },
                    workspace_for_reduce, run_reduce});
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
