// A model's weights into a file that Keras loads.
#pragma once

#include <filesystem>
#include <string>

#include "engine/core/context.h"
#include "layers/model.h"
#include "weights/networks.h"

namespace pila {

// Writes Keras' legacy layout: all layers in Keras' order, so that a model of the same layers takes it with
// model.load_weights(file), in Keras 2 and 3, by order and by name. `card` is text of the caller's, kept as
// the root attribute kCardAttribute: with the one that format_card() gives, load_model() has the whole model
// back. The file is written beside its place and renamed into it. Throws FileError, the file's name first,
// and leaves nothing.
void save_weights(const Context& ctx, const Model& model, const std::filesystem::path& file,
                  const std::string& card = {});

// Writes weights and description, all of which load_model() has back; the spec is the model's own, whatever
// the description says. Keras loads the weights as above and passes over the rest. Throws UsageError for a
// description that load_model() would refuse, FileError as above.
void save_model(const Context& ctx, const Model& model, const ModelDescription& description,
                const std::filesystem::path& file);

}  // namespace pila
