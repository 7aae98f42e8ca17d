// From a file to a model that is ready to use.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/core/context.h"
#include "layers/model.h"
#include "weights/networks.h"

namespace pila {

// A description and the model that it describes.
struct LoadedModel : ModelDescription {
  std::unique_ptr<Model> model;
  std::vector<std::string> warnings;  // what a person should know, such as weights that were left over
};

// Reads a Keras HDF5 file: a weight file of a known network (recognised by its layers and shapes), a whole
// model, or what save_model() wrote. Throws FileError, the file's name first.
LoadedModel load_model(const Context& ctx, const std::filesystem::path& file);

// One class a line; a leading index as Teachable Machine writes ("0 Duracell") is dropped when every line has
// its own. Throws FileError.
std::vector<std::string> read_labels(const std::filesystem::path& file);

}  // namespace pila
