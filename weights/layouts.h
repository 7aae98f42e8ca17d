// Keras' two ways to lay out weights in HDF5.
#pragma once

#include "weights/hdf5_tree.h"
#include "weights/weight_file.h"

namespace pila {

// All throw FileError without the file's name.

// keras/saving/saving_lib.py: "layers/<class in snake case>[_n]/vars/0, 1, ...", nested for sub-models.
bool is_keras3(const Hdf5Tree& tree);
WeightFile interpret_keras3(Hdf5Tree tree);

// keras/legacy/saving/legacy_h5_format.py: the attribute "layer_names" of the root, or of "model_weights" in
// a whole model, lists groups, and their attribute "weight_names" lists arrays.
WeightFile interpret_legacy(Hdf5Tree tree);

}  // namespace pila
