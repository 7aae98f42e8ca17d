// Products of some rows with one panel of packed columns, for fused kernels.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/args/types.h"
#include "kernels/cpu/ahead.h"
#include "kernels/cpu/elements.h"
#include "kernels/cpu/gemm_blocks.h"

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
};

// Those of the instruction set in use.
PanelSizes panel_sizes();

template <class Element>
struct PanelKernels {
  using Multiply = void (*)(int vectors, std::int64_t rows, const TileRows<Element>& a,
                            const TilePanel<Element>& panel, const PanelOutput& out, const Ahead& ahead);
  // y, [columns], gets the mean over the rows of activation(a * b + bias).
  using Pool = void (*)(int vectors, std::int64_t rows, const TileRows<Element>& a,
                        const TilePanel<Element>& panel, Activation activation, std::int64_t columns,
                        float* y, const Ahead& ahead);

  Multiply multiply = nullptr;
  Multiply multiply_planes = nullptr;  // for rows that lie a vector of values apart
  Multiply multiply_folded = nullptr;  // for panels with two elements of k side by side
  Multiply multiply_folded_planes = nullptr;
  Pool pool = nullptr;
};

// Those of the instruction set in use; all null where it has no such products.
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

  const float* w;  // [rows, columns]
  const float* bias;  // [columns], or null
  std::int64_t rows, columns;
  Quantization a;  // for int8
};

// Writes a panel: the head, and then columns [column, column + width) as [depth, width] elements, with zeros
// beyond w. Returns where the next panel goes.
template <class Element>
float* pack_panel(const ProductWeights& weights, std::int64_t depth, std::int64_t column, std::int64_t width,
                  float* to);

// The columns of a product's b as panels, each behind its head. So few columns that half a tile would hold
// them are folded: one panel, with two elements of k side by side.
struct ProductColumns {
  ProductColumns(std::int64_t columns, std::int64_t slices, std::int64_t depth, ElementKind kind);

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
  const bool folded;
  const Split vectors;

 private:
  std::int64_t steps() const { return slices * (folded ? ceil_div(depth, 2) : depth); }
};

}  // namespace pila::kernels::cpu
