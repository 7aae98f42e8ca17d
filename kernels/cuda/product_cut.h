// How products by tensor cores are cut into blocks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

namespace pila::kernels::cuda {

// [m, n] sums over k.
struct ProductSize {
  std::int64_t m, n, k;
};

// What a block makes of the result; the shapes of device/tensor_product.cuh are called the same.
enum class ProductTile : std::uint8_t { square, tall, narrow, small, few };

struct TileExtent {
  const char* name;
  std::int64_t rows, columns;
};
constexpr TileExtent kTileExtents[] = {
    {"square", 128, 128}, {"tall", 128, 64}, {"narrow", 128, 32}, {"small", 64, 64}, {"few", 16, 32}};
constexpr const TileExtent& extent_of(ProductTile tile) { return kTileExtents[static_cast<int>(tile)]; }

// Blocks make tiles over `depth` of k each; where that takes several parts, they are added up at the end.
struct ProductCut {
  ProductTile tile;
  std::int64_t parts, depth;

  bool operator==(const ProductCut& other) const { return tile == other.tile && parts == other.parts; }
  // Bytes for the sums of all parts.
  std::size_t workspace(const ProductSize& size) const {
    return parts == 1 ? 0 : static_cast<std::size_t>(parts * size.m * size.n) * sizeof(float);
  }
};

// The rules that cut a product where nothing was measured.
class ProductCutter {
 public:
  explicit ProductCutter(const ProductSize& size) : size_(size) {}

  // By tiles of a kind, and in about as many parts.
  ProductCut by(ProductTile tile, std::int64_t parts) const {
    const std::int64_t depth = ceil(ceil(size_.k, kStep), parts) * kStep;
    return parts == 1 ? whole(tile) : ProductCut{tile, ceil(size_.k, depth), depth};
  }

  // What there is to choose from.
  std::vector<ProductCut> choices(std::initializer_list<ProductTile> tiles) const {
    std::vector<ProductCut> cuts;
    for (const ProductTile tile : tiles) {
      for (std::int64_t parts = 1; parts <= kMostParts && parts <= ceil(size_.k, kStep); parts *= 2) {
        const ProductCut cut = by(tile, parts);
        if (cuts.empty() || !(cuts.back() == cut)) cuts.push_back(cut);
      }
    }
    return cuts;
  }

  // By the largest tile that leaves few columns idle and enough work for all of a GPU's processors.
  ProductCut among_all() const {
    if (size_.n <= extent_of(ProductTile::narrow).columns) {
      if (is_busy(ProductTile::narrow)) return whole(ProductTile::narrow);
    } else if (is_wide() && is_busy(ProductTile::square)) {
      return whole(ProductTile::square);
    } else if (is_busy(ProductTile::tall)) {
      return whole(ProductTile::tall);
    } else if (is_busy(ProductTile::small)) {
      return whole(ProductTile::small);
    }
    return size_.k < kDeep ? whole(ProductTile::few) : cut_deep();
  }

  // The same by two tiles alone, square and small.
  ProductCut between_two() const {
    if (is_wide() && is_busy(ProductTile::square)) return whole(ProductTile::square);
    return size_.k < kDeep || is_busy(ProductTile::small) ? whole(ProductTile::small) : cut_deep();
  }

 private:
  static constexpr std::int64_t kBusy = 96, kMostParts = 256;
  static constexpr std::int64_t kStep = 256;  // a multiple of every tile's own depth
  static constexpr std::int64_t kDeep = 8 * kStep;

  static std::int64_t ceil(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

  ProductCut whole(ProductTile tile) const { return {tile, 1, size_.k}; }
  std::int64_t tiles(ProductTile tile) const {
    return ceil(size_.m, extent_of(tile).rows) * ceil(size_.n, extent_of(tile).columns);
  }
  bool is_busy(ProductTile tile) const { return tiles(tile) >= kBusy; }
  // Whether wide tiles leave no more columns idle than others.
  bool is_wide() const {
    const auto columns = [&](ProductTile tile) {
      return ceil(size_.n, extent_of(tile).columns) * extent_of(tile).columns;
    };
    return columns(ProductTile::square) <= columns(ProductTile::tall);
  }

  ProductCut cut_deep() const {
    const bool large = is_wide() && size_.m >= extent_of(ProductTile::square).rows;
    const ProductTile tile = large ? ProductTile::square : ProductTile::small;
    const std::int64_t wanted = std::min(kMostParts, ceil(kBusy, std::max<std::int64_t>(1, tiles(tile))));
    return by(tile, wanted);
  }

  const ProductSize size_;
};

}  // namespace pila::kernels::cuda
