// Runs a network over labelled pictures.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "apps/report/predictions.h"
#include "engine/core/context.h"
#include "layers/model.h"
#include "layers/planned_model.h"
#include "layers/preprocessing.h"

namespace pila {

// Appends the logits and pooled features of images as `model` takes them; files and labels are the caller's
// to append.
void append_outputs(PlannedModel& model, const Tensor& images, Predictions& predictions);

struct LabelledFile {
  std::filesystem::path path;
  std::int32_t label = kUnknownLabel;
};

struct PredictOptions {
  std::int64_t batch = 8;
  std::int64_t max_pixels = 100'000'000;
  PlanOptions plan;
  std::function<void(std::int64_t count)> progress;      // so many files more are done
  std::function<void(const std::string& line)> message;  // a file was skipped, or is odd
};

struct FilePredictions {
  Predictions predictions;   // of the files that could be read
  std::int64_t skipped = 0;  // the others
};

// Decodes, preprocesses and classifies. Throws Error when interrupted, and what the network throws.
FilePredictions predict_files(const Context& ctx, const Model& model, const Preprocessing& preprocessing,
                              const std::vector<std::string>& classes, const std::vector<LabelledFile>& files,
                              const PredictOptions& options);

}  // namespace pila
