#include "weights/load_model.h"

#include "engine/core/error.h"
#include "weights/load_weights.h"
#include "weights/model_card.h"
#include "weights/model_config.h"
#include "weights/text.h"

namespace pila {
namespace {

FloatArray floats_of(const Array& array) {
  FloatArray result;
  result.shape = array.shape;
  std::visit([&](const auto& values) { result.values.assign(values.begin(), values.end()); }, array.values);
  return result;
}

// From the best source that the file has.
ModelDescription describe(const WeightFile& file) {
  if (!file.card.empty()) {
    try {
      ModelDescription description = parse_card(file.card);
      for (const auto& [name, array] : file.arrays) {
        description.arrays[name] = floats_of(array);
      }
      return description;
    } catch (const FileError& error) {
      throw FileError(file.file.string() + ": " + error.what());
    }
  }
  return file.model_config.empty() ? describe_by_weights(file) : describe_by_config(file);
}

}  // namespace

LoadedModel load_model(const Context& ctx, const std::filesystem::path& file) {
  const WeightFile weights = read_weight_file(file);
  ModelDescription description = describe(weights);
  LoadedModel result;
  try {
    result.model = std::make_unique<Model>(ctx, description.spec);
  } catch (const ShapeError& error) {
    throw FileError(file.string() + ": " + error.what());
  }
  static_cast<ModelDescription&>(result) = std::move(description);
  if (const auto classes = static_cast<std::int64_t>(result.classes.size());
      classes != 0 && classes != result.model->classes()) {
    throw FileError(file.string() + ": expected " + std::to_string(result.model->classes()) +
                    " class names, got " + std::to_string(classes));
  }
  for (const auto& [product, range] : result.ranges) {
    if (result.model->find_layer(product) == nullptr) {
      throw FileError(file.string() + ": expected ranges of the network's layers, got one of " +
                      in_quotes(product));
    }
  }
  const LoadReport report = load_weights(ctx, *result.model, weights);
  result.warnings = report.warnings;
  if (!report.left_over.empty()) {
    result.warnings.push_back(std::to_string(report.left_over.size()) +
                              " weights of the file have no place in the model: " + listed(report.left_over));
  }
  return result;
}

}  // namespace pila
