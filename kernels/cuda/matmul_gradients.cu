// All gradients of a product that widens few channels, as the expansions of MobileNetV2's large images do, in
// one pass over the rows of a, c and dc, by tensor cores.
//
// A block takes tiles of rows. It makes g, dc times the activation's slope, rounded, in shared memory, and
// multiplies it from both sides:
//
//     da = g b^T     a tile's own; b is in shared memory all the time
//     db += a^T g    in registers, until the block has seen all of its tiles: k is 32 at most, n is 256

#include <algorithm>

#include "kernels/args/matmul.h"
#include "kernels/cuda/device/activation_gradient.cuh"
#include "kernels/cuda/device/add_gradient_parts.cuh"
#include "kernels/cuda/device/tensor_tile.cuh"
#include "kernels/cuda/device/types.cuh"
#include "kernels/cuda/families.h"

namespace pila::kernels::cuda {
namespace {

constexpr int kRowsThreads = 256, kRowsWarps = kRowsThreads / kWarpSize;
constexpr int kMostDepth = 32, kMostColumns = 256;  // of a's and c's

// Of a tile of 128 bytes of each column.
constexpr std::int64_t rows_of_tile(std::size_t size) { return static_cast<std::int64_t>(128 / size); }

// Blocks that each take every parts-th tile.
struct RowParts {
  std::int64_t tiles, parts;

  RowParts(std::int64_t rows, std::size_t size) {
    constexpr std::int64_t kMost = 256;
    tiles = ceil_div(rows, rows_of_tile(size));
    const std::int64_t tiles_of_part = std::max<std::int64_t>(ceil_div(tiles, kMost), 1);
    parts = std::max<std::int64_t>(ceil_div(tiles, tiles_of_part), 1);
  }
};

template <class T>
struct RowsPass {
  RowMajor<T> a, b;  // a.data is null where nothing is made of it
  const T *c, *dc;   // c is null where the activation is none
  T* da;             // or null
  float* partial;    // [parts, k + 1, n], db's rows and dbias, or null
  bool normalises;   // a, so:
  Normalised of_a;
  Activation activation;
  std::int64_t tiles, parts;

  RowsPass(const MatmulGradients& args, const RowParts& rows, void* workspace)
      : a{static_cast<const T*>(args.db == nullptr ? nullptr : args.a), args.m, args.k},
        b{static_cast<const T*>(args.b), args.k, args.n},
        c(static_cast<const T*>(args.activation == Activation::none ? nullptr : args.c)),
        dc(static_cast<const T*>(args.dc)),
        da(static_cast<T*>(args.da)),
        partial(static_cast<float*>(args.db == nullptr && args.dbias == nullptr ? nullptr : workspace)),
        normalises(args.prologue.scaling != nullptr),
        of_a(args.prologue, args.k),
        activation(args.activation),
        tiles(rows.tiles),
        parts(rows.parts) {}
};

// One block's work, for n up to kColumns.
template <class T, int kColumns>
class RowTiles {
  static constexpr int kRows = static_cast<int>(rows_of_tile(sizeof(T))), kLanes = Pack<T>::kLanes;
  using A = TileLayout<T, kRows, kMostDepth>;
  using B = TileLayout<T, kMostDepth, kColumns>;
  using G = TileLayout<T, kRows, kColumns>;
  static constexpr int kRowsAtOnce = kRowsThreads / G::kChunks;  // of which the threads make g

 public:
  static constexpr std::size_t kSharedBytes = (A::kSize + B::kSize + G::kSize) * sizeof(T);
  static_assert(kSharedBytes >= kRowsAtOnce * kColumns * sizeof(float));

  // Begins to copy b.
  __device__ explicit RowTiles(const RowsPass<T>& pass) : pass_(pass) {
    if (pass.da != nullptr) copy_tile<B, kRowsThreads>(b(), pass.b, 0, 0);
  }

  __device__ void take(std::int64_t tile) {
    const std::int64_t row = tile * kRows;
    if (pass_.a.data != nullptr) copy_tile<A, kRowsThreads>(a(), pass_.a, row, 0);
    commit_copies();
    make_g(row);
    wait_for_copies<0>();
    if (pass_.a.data != nullptr && pass_.normalises) {
      read_tile<A, kRowsThreads>(a(), pass_.a, row, 0, pass_.of_a);
    }
    __syncthreads();
    if (pass_.da != nullptr) store_da(row);
    if (pass_.a.data != nullptr) add_db();
    __syncthreads();
  }

  __device__ void store_sums() const {
    const auto n = static_cast<int>(pass_.b.columns), k = static_cast<int>(pass_.b.rows);
    float* const to = pass_.partial + static_cast<std::int64_t>(blockIdx.x) * (k + 1) * n;
#pragma unroll
    for (int i = 0; i < kMostDepth / 16; ++i) {
#pragma unroll
      for (int j = 0; j < kWarpColumns / 8; ++j) {
#pragma unroll
        for (int v = 0; v < 4; ++v) {
          const int row = 16 * i + lane() / 4 + v / 2 * 8;
          const int column = first_column() + 8 * j + lane() % 4 * 2 + v % 2;
          if (row < k && column < n) to[row * n + column] = db_[i][j].value[v];
        }
      }
    }
    auto* const sums = shared_memory<float>();  // of dbias
#pragma unroll
    for (int i = 0; i < kLanes; ++i) sums[g_row() * kColumns + g_chunk() * kLanes + i] = dbias_[i];
    __syncthreads();
    const auto column = static_cast<int>(threadIdx.x);
    if (column >= n) return;
    float sum = 0;
    for (int row = 0; row < kRowsAtOnce; ++row) sum += sums[row * kColumns + column];
    to[k * n + column] = sum;
  }

 private:
  static constexpr int kWarpColumns = kColumns / kRowsWarps;  // of db

  struct alignas(2 * sizeof(T)) PairOf {
    T first, second;
  };

  __device__ static int lane() { return static_cast<int>(threadIdx.x) % kWarpSize; }
  __device__ static int warp() { return static_cast<int>(threadIdx.x) / kWarpSize; }
  __device__ static int first_column() { return warp() * kWarpColumns; }
  __device__ static T* g() { return shared_memory<T>(); }
  __device__ static T* a() { return g() + G::kSize; }
  __device__ static T* b() { return a() + A::kSize; }

  // Where the thread makes g: of the same columns in all rows, so that it can add them up.
  __device__ static int g_chunk() { return static_cast<int>(threadIdx.x) % G::kChunks; }
  __device__ static int g_row() { return static_cast<int>(threadIdx.x) / G::kChunks; }

  // Zeros outside of c.
  __device__ void make_g(std::int64_t row) {
    constexpr int kAtOnce = 2;
    const std::int64_t column = g_chunk() * kLanes, n = pass_.b.columns;
    for (int first = g_row(); first < kRows; first += kAtOnce * kRowsAtOnce) {
      Pack<T> dc[kAtOnce] = {}, c[kAtOnce] = {};
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        const std::int64_t from = row + first + i * kRowsAtOnce;
        if (from >= pass_.a.rows || column >= n) continue;
        dc[i] = load_pack(pass_.dc + from * n + column, 0);
        if (pass_.c != nullptr) c[i] = load_pack(pass_.c + from * n + column, 0);
      }
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        if (pass_.c != nullptr) dc[i] = through_activation(pass_.activation, dc[i], c[i]);
        for (int j = 0; j < kLanes; ++j) dbias_[j] += widen(dc[i].lane[j]);
        store_pack(g() + G::place(first + i * kRowsAtOnce, g_chunk()), 0, dc[i]);
      }
    }
  }

  // 16 rows and columns of da by each warp.
  __device__ void store_da(std::int64_t tile) const {
    const int row = warp() % (kRows / 16) * 16, column = warp() / (kRows / 16) * 16;
    const auto n = static_cast<int>(pass_.b.columns), k = static_cast<int>(pass_.b.rows);
    if (column >= k) return;
    Sums sums[2] = {};
#pragma unroll 1
    for (int depth = 0; depth < n; depth += kProductDepth<T>) {
      FragmentA left;
      unsigned part[4];
      load_left<G, false>(left, g(), row, depth);
      load_right<B, true>(part, b(), depth, column);
      multiply_add<T>(sums[0], left, {{part[0], part[1]}});
      multiply_add<T>(sums[1], left, {{part[2], part[3]}});
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const std::int64_t to_row = tile + row + lane() / 4 + i % 2 * 8;
      const int to_column = column + i / 2 * 8 + lane() % 4 * 2;
      if (to_row >= pass_.a.rows || to_column >= k) continue;
      const float* two = sums[i / 2].value + i % 2 * 2;
      *accessible(reinterpret_cast<PairOf*>(pass_.da + to_row * k + to_column)) = {narrow<T>(two[0]),
                                                                                   narrow<T>(two[1])};
    }
  }

  // All rows, and some columns by each warp, of db.
  __device__ void add_db() {
    if (first_column() >= pass_.b.columns) return;
#pragma unroll 1  // registers are short where the sums are alive
    for (int depth = 0; depth < kRows; depth += kProductDepth<T>) {
      FragmentA left[kMostDepth / 16];
#pragma unroll
      for (int i = 0; i < kMostDepth / 16; ++i) load_left<A, true>(left[i], a(), 16 * i, depth);
#pragma unroll
      for (int j = 0; j < kWarpColumns / 8; j += 2) {
        unsigned part[4];
        load_right<G, false>(part, g(), depth, first_column() + 8 * j);
#pragma unroll
        for (int i = 0; i < kMostDepth / 16; ++i) {
          multiply_add<T>(db_[i][j], left[i], {{part[0], part[1]}});
          multiply_add<T>(db_[i][j + 1], left[i], {{part[2], part[3]}});
        }
      }
    }
  }

  const RowsPass<T>& pass_;
  Sums db_[kMostDepth / 16][kWarpColumns / 8] = {};
  float dbias_[kLanes] = {};
};

template <class T, int kColumns>
__global__ void __launch_bounds__(kRowsThreads, 2) rows_pass(RowsPass<T> pass) {
  RowTiles<T, kColumns> tiles(pass);
  for (std::int64_t tile = blockIdx.x; tile < pass.tiles; tile += pass.parts) tiles.take(tile);
  if (pass.partial != nullptr) tiles.store_sums();
}

template <class T, int kColumns>
Status run_columns_of(const RowsPass<T>& pass, const Launch& on) {
  const Grid grid{dim3(static_cast<unsigned>(pass.parts)), dim3(kRowsThreads),
                  RowTiles<T, kColumns>::kSharedBytes};
  return launch(rows_pass<T, kColumns>, grid, on, pass);
}

Status run_matmul_gradients(const MatmulGradients& args, const Launch& on) {
  return with_number(args.type, [&](auto number) {
    using T = decltype(number);
    const RowParts rows(args.m, sizeof(T));
    const RowsPass<T> pass(args, rows, on.workspace);
    const Status status = args.n <= kMostColumns / 2 ? run_columns_of<T, kMostColumns / 2>(pass, on)
                                                     : run_columns_of<T, kMostColumns>(pass, on);
    if (status != nullptr || pass.partial == nullptr) return status;
    return run_add_gradient_parts<T>(static_cast<int>(args.k * args.n), static_cast<int>(args.n),
                                     static_cast<int>(rows.parts), pass.partial, args.db, args.dbias, on);
  });
}

std::size_t matmul_gradients_workspace(const MatmulGradients& args, const Stream&) {
  if (args.db == nullptr && args.dbias == nullptr) return 0;
  return static_cast<std::size_t>(RowParts(args.m, size_of(args.type)).parts * (args.k + 1) * args.n) *
         sizeof(float);
}

bool supports_matmul_gradients(const MatmulGradients& args) {
  if (!tensor_cores_multiply(args.type, args.rounding) || args.activation == Activation::silu) return false;
  const auto lanes = static_cast<std::int64_t>(16 / size_of(args.type));
  return args.m > 0 && args.k > 0 && args.k <= kMostDepth && args.k % lanes == 0 && args.n > 0 &&
         args.n <= kMostColumns && args.n % lanes == 0 && is_pack_aligned(args.a) &&
         is_pack_aligned(args.b) && is_pack_aligned(args.c) && is_pack_aligned(args.dc) &&
         is_pack_aligned(args.da) && is_pack_aligned(args.prologue.scaling);
}

}  // namespace

void add_matmul_gradients_kernels(KernelTable& table) {
  table.matmul_gradients.add({"matmul_gradients_tensor_cores", supports_matmul_gradients,
                              matmul_gradients_workspace, run_matmul_gradients});
}

}  // namespace pila::kernels::cuda
