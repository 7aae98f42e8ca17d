// From a file to a model that is ready to use.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/core/context.h"
#include "layers/model.h"
#include "layers/preprocessing.h"

namespace pila {

struct LoadedModel {
  std::unique_ptr<Model> model;
  Preprocessing preprocessing;
  std::vector<std::string> classes;   // empty when the file does not say
  std::vector<std::string> warnings;  // what a person should know, such as weights that were left over
};

// Reads a Keras HDF5 file: a weight file of a known network (recognised by its layers and shapes) or a whole
// model. Throws FileError, the file's name first.
LoadedModel load_model(const Context& ctx, const std::filesystem::path& file);

// One class a line; a leading index as Teachable Machine writes ("0 Duracell") is dropped when every line has
// its own. Throws FileError.
std::vector<std::string> read_labels(const std::filesystem::path& file);

}  // namespace pila
