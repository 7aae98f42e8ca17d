// Products of some rows with one panel of packed columns, for fused kernels.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/args/types.h"
#include "kernels/cpu/ahead.h"
#include "kernels/cpu/elements.h"
#include "kernels/cpu/gemm_blocks.h"
#include "kernels/cpu/matrix_unit.h"

namespace pila::kernels::cpu {

// [0, total) in as few parts of at most `most` as can be, about equally large.
struct Split {
  Split(std::int64_t all, std::int64_t most) : total(all), count(ceil_div(all, most)) {}
  std::int64_t begin(std::int64_t part) const { return count == 0 ? 0 : total * part / count; }
  std::int64_t size(std::int64_t part) const { return begin(part + 1) - begin(part); }

  std::int64_t total, count;
};

// Rows of a, with k in slices: row r of slice s begins at data + s * slice + r * row. All sizes here are in
// elements (see elements.h).
template <class Element>
struct TileRows {
  const Element* data;
  std::ptrdiff_t row, slice;
  std::int64_t slices, depth;  // depth: of a slice
};

// Some vectors of b's columns: [slices * depth, columns], and their head, [head rows, columns].
template <class Element>
struct TilePanel {
  // A panel that begins with its head.
  TilePanel(const float* panel, std::int64_t width)
      : head(panel), b(reinterpret_cast<const Element*>(panel + kElement<Element>.head_rows * width)) {}

  const float* head;
  const Element* b;
};

// y = activation(a * b + bias) + residual, which may be null: row r begins at y + r * row.
struct PanelOutput {
  float* y;
  const float* residual;
  std::ptrdiff_t row;
  std::int64_t columns;  // those of the panel that are real
  Activation activation;
};

struct PanelSizes {
  int lanes;         // float32 in a vector
  int most_vectors;  // of a panel
  int pool_vectors;  // of one whose rows' mean is wanted
};

// Those of the instruction set in use.
PanelSizes panel_sizes();

// Elements of a row of k values that lie side by side in a plane: a vector's worth of values or, for the
// matrix unit, as many times that as a tile has room for.
inline std::int64_t plane_row(ElementKind kind, std::int64_t k, std::int64_t lanes) {
  const std::int64_t vector = lanes / kind.values;
  return kind.tiled(k) ? std::min<std::int64_t>(kTileColumns, ceil_div(k, lanes) * vector) : vector;
}

// Rows of k numbers each as planes of elements that are not numbers.
template <class Element>
struct RoundedRows {
  RoundedRows(std::int64_t row_count, std::int64_t numbers)
      : rows(row_count),
        k(numbers),
        vector(plane_row(kElement<Element>, numbers, panel_sizes().lanes)),
        planes(std::max<std::int64_t>(ceil_div(numbers, vector * kElement<Element>.values), 1)),
        depth(numbers == 0 ? 0 : vector) {}

  std::int64_t size() const { return rows * planes * depth; }
  // Rounds rows [begin, end) of `from`, which is given at the first row, as is `to`.
  void round(const float* from, std::int64_t begin, std::int64_t end, const Quantization& by,
             Element* to) const {
    round_planes(from + begin * k, end - begin, k, by, to + begin * vector, rows * vector, vector);
  }
  // The rows from `row` on, for a product.
  TileRows<Element> from(const Element* data, std::int64_t row) const {
    return {data + row * vector, static_cast<std::ptrdiff_t>(vector),
            static_cast<std::ptrdiff_t>(rows * vector), planes, depth};
  }

  // Whether the matrix unit is to multiply them.
  bool tiled() const { return kElement<Element>.tiled(k); }

  const std::int64_t rows, k;
  const std::int64_t vector;  // elements of a row in a plane
  const std::int64_t planes;
  const std::int64_t depth;  // of a plane in a product: the vector, or nothing
};

template <class Element>
struct PanelKernels {
  using Multiply = void (*)(int vectors, std::int64_t rows, const TileRows<Element>& a,
                            const TilePanel<Element>& panel, const PanelOutput& out, const Ahead& ahead);
  // y, [columns], gets the mean over the rows of activation(a * b + bias). The panel has pool_vectors.
  using Pool = void (*)(std::int64_t rows, const TileRows<Element>& a, const TilePanel<Element>& panel,
                        Activation activation, std::int64_t columns, float* y, const Ahead& ahead);

  Multiply multiply = nullptr;         // null where elements are not numbers
  Multiply multiply_planes = nullptr;  // for planes: rows lie a vector of values apart, which are a slice
  Multiply multiply_folded = nullptr;  // for panels with two elements of k side by side
  Multiply multiply_folded_planes = nullptr;
  Pool pool = nullptr;                // for planes, where elements are not numbers
  Multiply multiply_tiled = nullptr;  // by the matrix unit: see tiled_product.h on a's depth
  Pool pool_tiled = nullptr;
};

// Those of the instruction set in use; all null where it has no such products. Elements that are not numbers
// have to lie in planes.
template <class Element>
const PanelKernels<Element>& panel_kernels();

// A product's weights as they come.
struct ProductWeights {
  ProductWeights(const void* matrix, const void* bias_of_columns, std::int64_t matrix_rows,
                 std::int64_t matrix_columns, const Quantization& of_a)
      : w(static_cast<const float*>(matrix)),
        bias(static_cast<const float*>(bias_of_columns)),
        rows(matrix_rows),
        columns(matrix_columns),
        a(of_a) {}

  const float* w;     // [rows, columns]
  const float* bias;  // [columns], or null
  std::int64_t rows, columns;
  Quantization a;  // for int8
};

// Writes a panel: the head, and then columns [column, column + width) as [depth, width] elements, with zeros
// beyond w. Returns where the next panel goes.
template <class Element>
float* pack_panel(const ProductWeights& weights, std::int64_t depth, std::int64_t column, std::int64_t width,
                  float* to);

// The columns of a product's b as panels, each behind its head. So few columns that half a tile of vectors
// would hold them are folded: one panel, with two elements of k side by side.
struct ProductColumns {
  ProductColumns(std::int64_t columns, std::int64_t slices, std::int64_t depth, ElementKind kind,
                 bool tiled = false);

  std::int64_t at(std::int64_t panel) const {
    return vectors.begin(panel) * (steps() + kind.head_rows) * lanes;
  }
  std::int64_t size() const { return at(vectors.count); }

  // What weights lack of slices * depth elements is zero.
  template <class Element>
  void pack(const ProductWeights& from, float* to) const;
  // One panel's columns of out, which is given at the first column and with all `columns`.
  template <class Element>
  void multiply(std::int64_t panel, const float* weights, std::int64_t rows, const TileRows<Element>& a,
                PanelOutput out, const Ahead& ahead) const;

  const std::int64_t columns, slices, depth, lanes;
  const ElementKind kind;
  const bool tiled, folded;
  const Split vectors;

 private:
  int most_vectors() const;  // of a panel
  std::int64_t steps() const { return slices * (folded ? ceil_div(depth, 2) : depth); }
};

}  // namespace pila::kernels::cpu
