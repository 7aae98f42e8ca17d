#include "apps/live/classifier.h"

#include <fmt/format.h>

#include <cmath>

#include "apps/core/class_names.h"
#include "engine/core/error.h"

namespace fs = std::filesystem;

namespace pila {

Classifier::Classifier(const fs::path& model, const fs::path& labels, int threads)
    : file_(model), ctx_(Device::cpu(threads)), loaded_(load_model(ctx_, model)) {
  const std::int64_t count = loaded_.model->classes();
  if (count == 0) {
    throw FileError(model.string() +
                    ": a classifier is expected, and the model ends without classes (no top)");
  }
  for (const auto& warning : loaded_.warnings) warnings_.push_back(model.string() + ": " + warning);
  std::vector<std::string> names = labels.empty() ? loaded_.classes : read_labels(labels);
  if (names.empty()) {
    warnings_.push_back(model.string() +
                        ": the model does not name its classes, numbers stand for them (--labels FILE)");
    names = index_names(count);
  }
  if (static_cast<std::int64_t>(names.size()) != count) {
    throw FileError(fmt::format("{}: {} class names are expected for {}, and it has {}",
                                (labels.empty() ? model : labels).string(), count, model.string(),
                                names.size()));
  }
  classes_ = distinct_names(names);
}

std::string Classifier::describe() const {
  const ModelSpec& spec = loaded_.model->spec();
  return fmt::format("{}: {}, width {}, {} x {}, {} classes", file_.string(), spec.network, spec.width,
                     spec.input_width, spec.input_height, classes_.size());
}

std::vector<std::vector<float>> Classifier::classify(std::span<const float> images,
                                                     std::int64_t count) const {
  const auto& input = loaded_.preprocessing;
  const auto batch = Tensor::from(ctx_, {count, input.height, input.width, 3}, images);
  const auto values = loaded_.model->probabilities(ctx_, batch).to_vector<float>(ctx_);
  std::vector<std::vector<float>> rows;
  for (auto row = values.begin(); row != values.end(); row += static_cast<std::ptrdiff_t>(classes_.size())) {
    rows.emplace_back(row, row + static_cast<std::ptrdiff_t>(classes_.size()));
  }
  for (const float value : values) {
    if (!std::isfinite(value)) {
      throw FileError(file_.string() +
                      ": the network's probabilities are not numbers; its weights are unfit");
    }
  }
  return rows;
}

}  // namespace pila
