// How to tell the known networks by their weights.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/plan/ranges.h"
#include "layers/model.h"
#include "layers/preprocessing.h"
#include "weights/weight_file.h"

namespace pila {

// Numbers that a model carries beside its weights, row by row.
struct FloatArray {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
  bool operator==(const FloatArray&) const = default;
};

// How to tell that an image shows nothing of what the model was trained on.
struct UnknownScore {
  std::string kind;      // how the score is computed; empty: the model has none
  double threshold = 0;  // above it an image is unknown
  std::map<std::string, double> parameters;
  bool operator==(const UnknownScore&) const = default;
};

// What is needed to use a file's weights, and where they came from. Files that say less, as Keras' do, leave
// the rest at its defaults.
struct ModelDescription {
  ModelSpec spec;
  Preprocessing preprocessing;
  std::vector<std::string> classes;          // empty when not known
  double temperature = 1;                    // probabilities are softmax(logits / temperature)
  double threshold = 0;                      // of the largest probability: below it the verdict is "others"
  UnknownScore unknown;                      // its arrays are in `arrays`
  Ranges ranges;                             // for plans in int8; empty: it was not calibrated
  std::string recipe;                        // how the model was trained: JSON, or empty
  std::string data_hash;                     // of the data it was trained on, or empty
  std::string program;                       // what wrote the file ("pila 0.1.0"), or empty
  std::map<std::string, FloatArray> arrays;  // by name, without '/': "class_means" [classes, channels]
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
