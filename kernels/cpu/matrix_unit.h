// Intel AMX: registers of 16 rows of 64 bytes, tiles, and products of them. In assembly language, because
// functions compiled for Highway's targets could not inline intrinsics for it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pila::kernels::cpu {

// Rows of a tile; columns of numbers in it, which are 32 bits each.
constexpr int kTileRows = 16, kTileColumns = 16;

// Whether the processor has the unit, with products of bfloat16 and of bytes, and the system lends it to this
// process. PILA_MATRIX_UNIT=0 in the environment does without.
bool is_matrix_unit_lent();

#if defined(__x86_64__)

// Tiles 0 to 3 hold sums, 4 the rows of a, 5 to 7 blocks of b.
namespace tiles {

constexpr int kA = 4, kFirstB = 5, kCountOfB = 3;

struct Sizes {
  int rows = 0;   // of sums and a, up to 16
  int words = 0;  // of a row of a, 32 bits each, up to 16; b has as many rows
  bool operator==(const Sizes&) const = default;
};
// This thread's; zeros where it does not have the unit.
inline thread_local Sizes sizes_in_use;

struct Layout {
  std::uint8_t palette = 1, start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};
static_assert(sizeof(Layout) == 64);

// Takes the unit for this thread, or changes its sizes. What tiles hold is lost then.
inline void use(const Sizes& sizes) {
  if (sizes == sizes_in_use) return;
  sizes_in_use = sizes;
  Layout layout;
  for (int tile = 0; tile < kFirstB + kCountOfB; ++tile) {
    layout.row_bytes[tile] = static_cast<std::uint16_t>((tile == kA ? sizes.words : kTileColumns) * 4);
    layout.rows[tile] = static_cast<std::uint8_t>(tile < kFirstB ? sizes.rows : sizes.words);
  }
  asm volatile("ldtilecfg %0" : : "m"(layout));
}

template <int kTile>
void zero() {
  asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
}
// From rows `step` bytes apart.
template <int kTile>
void load(const void* from, std::ptrdiff_t step) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(step), "i"(kTile) : "memory");
}
template <int kTile>
void store(void* to, std::ptrdiff_t step) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(step), "i"(kTile) : "memory");
}
// kSum += kA * kB over pairs of bfloat16: kA's in a row, kB's in a column.
template <int kSum, int kA, int kB>
void add_pair_products() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kA), "i"(kB));
}
// The same over four bytes each, those of kB with signs.
template <int kSum, int kA, int kB>
void add_quad_products() {
  asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kA), "i"(kB));
}

}  // namespace tiles

#endif

// A thread's piece of work that may take the matrix unit, which is given back at its end.
struct TilesInUse {
  TilesInUse() = default;
  TilesInUse(const TilesInUse&) = delete;
  TilesInUse& operator=(const TilesInUse&) = delete;
  ~TilesInUse() {
#if defined(__x86_64__)
    if (tiles::sizes_in_use == tiles::Sizes()) return;
    tiles::sizes_in_use = {};
    asm volatile("tilerelease");
#endif
  }
};

}  // namespace pila::kernels::cpu
