// For those who measure how products are best cut: pila-profile --tune.
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/args/matmul.h"
#include "kernels/cuda/product_cut.h"
#include "kernels/cuda/tuned_cuts.h"
#include "kernels/kernel_table.h"

namespace pila::kernels::cuda {

struct CutChoices {
  ProductKind kind;
  ProductSize size;
  ProductCut in_use;             // what run() of the kernel table does on the stream
  std::vector<ProductCut> cuts;  // all that could be done; none where tensor cores do not multiply it
};

CutChoices cut_choices(const Matmul& args, const Stream& stream);

// A cut of the product's choices: the bytes of its workspace, and the product cut so.
std::size_t workspace_of(const Matmul& args, const ProductCut& cut);
Status run_cut(const Matmul& args, const ProductCut& cut, const Launch& on);

}  // namespace pila::kernels::cuda
