#include "apps/report/predict.h"

#include <algorithm>

#include "apps/core/command.h"
#include "apps/data/image_loader.h"
#include "engine/core/error.h"
#include "engine/ops/ops.h"

namespace pila {
namespace {

void append(std::vector<float>& values, const std::vector<float>& more) {
  values.insert(values.end(), more.begin(), more.end());
}

}  // namespace

void append_outputs(PlannedModel& model, const Tensor& images, Predictions& predictions) {
  const PlannedModel::Outputs outputs = model.run(images);
  append(predictions.logits, outputs.logits);
  append(predictions.features, outputs.features);
}

FilePredictions predict_files(const Context& ctx, const Model& model, const Preprocessing& preprocessing,
                              const std::vector<std::string>& classes, const std::vector<LabelledFile>& files,
                              const PredictOptions& options) {
  FilePredictions result;
  result.predictions.classes = classes;
  const auto say = [&](const std::string& line) {
    if (options.message) options.message(line);
  };
  std::vector<std::filesystem::path> paths;
  for (const LabelledFile& file : files) paths.push_back(file.path);
  ImageLoader loader(paths, preprocessing, options.max_pixels, static_cast<std::size_t>(options.batch));
  PlannedModel planned(ctx, model, preprocessing, GraphInput::images, options.plan);
  std::vector<float> pixels;
  std::int64_t waiting = 0, taken = 0;
  const auto run = [&] {
    if (waiting == 0) return;
    const Tensor images = Tensor::from(ctx, {waiting, preprocessing.height, preprocessing.width, 3}, pixels);
    append_outputs(planned, ops::cast(ctx, images, model.spec().type), result.predictions);
    pixels.clear();
    waiting = 0;
  };
  LoadedImage image;
  while (loader.next(image)) {
    if (interrupted()) throw Error("interrupted after " + std::to_string(taken) + " images");
    ++taken;
    const LabelledFile& file = files[static_cast<std::size_t>(image.index)];
    if (!image.error.empty()) {
      say("skipped: " + image.error);
      ++result.skipped;
    } else {
      if (!image.warning.empty()) say("warning: " + file.path.string() + ": " + image.warning);
      result.predictions.files.push_back(file.path.string());
      result.predictions.labels.push_back(file.label);
      pixels.insert(pixels.end(), image.pixels.begin(), image.pixels.end());
      if (++waiting == options.batch) run();
    }
    if (options.progress) options.progress(1);
  }
  run();
  return result;
}

}  // namespace pila
