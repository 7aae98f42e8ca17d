// How to tell the known networks by their weights.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "layers/model.h"
#include "layers/preprocessing.h"
#include "weights/weight_file.h"

namespace pila {

// What is needed to use a file's weights.
struct ModelDescription {
  ModelSpec spec;
  Preprocessing preprocessing;
  std::vector<std::string> classes;  // empty when not known
};

// A network in one of its widths, as it is named and shaped in Keras' files.
struct NetworkMark {
  const char* network;
  double width;
  const char* layer;      // a layer with a kernel,
  std::int64_t channels;  // whose last extent tells the widths apart,
  const char* type;       // and, for files without names, its class,
  std::size_t number;     // its place among the file's layers of that class,
  std::size_t count;      // and how many there are
  const char* first[2];   // the backbone begins with one of these layers
  const char* last;       // and ends with this one
};

// Throws FileError, the file's name first, when it is none of them.
const NetworkMark& recognise_network(const WeightFile& file);

// Describes a file that has no architecture in it: the network by its layers and shapes, the head by its one
// Dense layer. Input 224 x 224, since weights do not tell. Throws FileError, the file's name first, when it
// cannot be told.
ModelDescription describe_by_weights(const WeightFile& file);

// How the network's published weights want their input. Height and width are the spec's.
Preprocessing default_preprocessing(const ModelSpec& spec);

}  // namespace pila
