// A file's weights into a model.
#pragma once

#include <string>
#include <vector>

#include "engine/core/context.h"
#include "layers/model.h"
#include "weights/weight_file.h"

namespace pila {

enum class WeightScope {
  model,     // backbone and head
  backbone,  // the head keeps its values, whatever the file has for it: the start of fine-tuning
};

struct LoadReport {
  std::size_t loaded = 0;              // weights
  std::vector<std::string> missing;    // "layer/weight" of the model that the file lacks
  std::vector<std::string> misshapen;  // "layer/weight: expected [..], got [..]"
  std::vector<std::string> left_over;  // "layer/weight" of the file that the model has no place for
  std::vector<std::string> warnings;   // how layers were matched, where that is not by name
};

// Copies weights by layer name, weight name and shape, never by position: a model's layer "dense" takes the
// file's layer whose path ends in "dense"; where there is none, the one whose top-level group is so called;
// and among several the one whose shapes fit. "kernel" and "depthwise_kernel" are the same. The exception is
// a .weights.h5 file without names, where the n-th layer of a class is the model's n-th of that class. Throws
// FileError, the file's name first, when a weight is missing or misshapen, and leaves the model as it was.
LoadReport load_weights(const Context& ctx, Model& model, const WeightFile& file,
                        WeightScope scope = WeightScope::model);

// What load_weights() would do, without a change and without an error.
LoadReport compare_weights(const Model& model, const WeightFile& file,
                           WeightScope scope = WeightScope::model);

}  // namespace pila
