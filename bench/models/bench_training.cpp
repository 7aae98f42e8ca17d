// pila-bench-training: trains MobileNetV2 on photographs when told to, so that a driver can take turns
// between programs. On standard input, "run" reads the list's images once, augments them and trains on them,
// and answers with milliseconds and the last loss; the input's end ends the program. Before the first one it
// runs once and says "ready".
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>

#include "apps/core/stopwatch.h"
#include "apps/data/batch_loader.h"
#include "apps/training/training_step.h"
#include "engine/core/error.h"
#include "layers/batch_statistics.h"
#include "layers/model.h"

namespace pila::bench {
namespace {

struct Options {
  std::string list, statistics = "frozen";
  double width = 0.35;
  std::int64_t size = 224;
  std::size_t batch = 32, cache_mb = 0;
  int threads = 1;
};

struct Images {
  std::vector<std::filesystem::path> files;
  std::vector<std::int32_t> labels;
  std::int64_t classes = 0;
};

// Lines of label, a blank, and the file.
Images read_list(const std::string& name) {
  Images images;
  std::ifstream file(name);
  std::string path;
  for (std::int32_t label; file >> label && std::getline(file >> std::ws, path);) {
    images.labels.push_back(label);
    images.files.emplace_back(path);
    images.classes = std::max<std::int64_t>(images.classes, label + 1);
  }
  if (images.files.empty()) throw FileError(name + ": labels and image files are expected, got none");
  return images;
}

class Training {
 public:
  explicit Training(const Options& options)
      : ctx_(Device::cpu(options.threads)),
        images_(read_list(options.list)),
        cache_(images_.files, options.size, options.size, options.cache_mb << 20, options.threads),
        model_(ctx_, model_spec(options, images_.classes)),
        threads_(options.threads) {
    set_batch_statistics(model_, options.statistics == "batch");
    StepOptions step;
    step.preprocessing.height = step.preprocessing.width = options.size;
    step.augmentation.flip_horizontal = step.augmentation.flip_vertical = true;
    step.augmentation.rotation = 0.05;
    step.augmentation.contrast = step.augmentation.brightness = 0.4;
    step.gradient.adam.weight_decay = 0.01;
    step_.emplace(ctx_, model_, std::move(step));
    for (std::size_t i = 0; i < images_.files.size(); i += options.batch) {
      auto& batch = batches_.emplace_back();
      for (std::size_t k = i; k < std::min(i + options.batch, images_.files.size()); ++k) batch.push_back(k);
    }
  }

  // Once through all images. Returns the last loss.
  double run() {
    constexpr std::size_t kAhead = 4;
    constexpr double kRate = 1e-3;
    BatchLoader loader(cache_, batches_, threads_, kAhead);
    double loss = 0;
    std::vector<std::int32_t> labels;
    for (Batch batch; loader.next(batch);) {
      labels.clear();
      for (const std::size_t image : batch.images) labels.push_back(images_.labels[image]);
      const auto count = static_cast<std::int64_t>(labels.size());
      loss =
          step_
              ->run({batch.pixels, cache_.height(), cache_.width(), labels, 0, count, count}, kRate, steps_++)
              .loss;
    }
    return loss;
  }

 private:
  static ModelSpec model_spec(const Options& options, std::int64_t classes) {
    ModelSpec spec;
    spec.width = options.width;
    spec.input_height = spec.input_width = options.size;
    spec.head = imagenet_head(classes);
    spec.head.insert(spec.head.end() - 1, HeadLayerSpec{.type = "Dropout", .name = "dropout", .rate = 0.2});
    return spec;
  }

  Context ctx_;
  Images images_;
  ImageCache cache_;
  Model model_;
  std::optional<TrainingStep> step_;
  std::vector<std::vector<std::size_t>> batches_;
  int threads_;
  std::int64_t steps_ = 0;
};

void serve(const Options& options) {
  Training training(options);
  training.run();
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    if (line != "run") throw UsageError("\"run\" is expected, got \"" + line + "\"");
    Stopwatch watch;
    const double loss = training.run();
    const double milliseconds = watch.lap_ms();
    std::cout << milliseconds << " " << loss << std::endl;
  }
}

}  // namespace
}  // namespace pila::bench

int main(int argc, char** argv) {
  CLI::App app("Trains MobileNetV2 on a list of images for each line \"run\" on standard input.",
               "pila-bench-training");
  pila::bench::Options options;
  app.add_option("--list", options.list, "lines of label, a blank, and the image's file")->required();
  app.add_option("--statistics", options.statistics, "of batch normalisation")
      ->check(CLI::IsMember({"frozen", "batch"}));
  app.add_option("--width", options.width)->capture_default_str();
  app.add_option("--size", options.size)->capture_default_str();
  app.add_option("--batch", options.batch)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--threads", options.threads)->capture_default_str();
  app.add_option("--cache-mb", options.cache_mb, "decoded images that are kept; 0: decode for each run")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    pila::bench::serve(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pila-bench-training: %s\n", error.what());
    return 1;
  }
  return 0;
}
