// pila-bench-model: runs MobileNetV2 when told to, so that a driver can take turns between programs.
// On standard input, "run" does the work once and answers with milliseconds and the loss, for inference the
// first logit; the input's end ends the program. Before the first one it warms up and says "ready" with the
// mebibytes of memory that model and warm-up took beside the inputs, which it reads where they are; on a GPU,
// that all tensors have there, its inputs among them. Behind them stand those of all tensors at their peak.
// With --mode calibrate it writes the ranges of the input images, for int8.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/core/device.h"
#include "apps/core/precision.h"
#include "apps/core/stopwatch.h"
#include "bench/models/calibrate.h"
#include "engine/core/error.h"
#include "layers/batch_statistics.h"
#include "layers/fine_tuning.h"
#include "layers/gradient_step.h"
#include "layers/model.h"
#include "layers/planned_model.h"
#include "weights/load_weights.h"

namespace pila::bench {
namespace {

constexpr std::int64_t kClasses = 1000;  // of the ImageNet head

struct Options {
  std::string mode, input, weights, output, ranges, learns = "all", device = "cpu";
  double width = 1;
  std::int64_t size = 224, batch = 1;
  int threads = 1, warm_ups = 3;
  bool recompute = false;
  std::optional<Precision> precision;
};

constexpr double kMebibyte = 1 << 20;

// Of this process' memory, what is in the machine's.
double resident_mebibytes() {
  std::ifstream file("/proc/self/statm");
  double all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / kMebibyte;
}

// On a GPU: what tensors have, or had and may have again.
double device_mebibytes(Device& device) {
  const AllocatorStatistics now = device.allocator().statistics();
  return static_cast<double>(now.bytes_in_use + now.bytes_cached) / kMebibyte;
}

// The inputs that all programs share: float32 images in NHWC, then int32 labels.
struct Inputs {
  Tensor images, labels;
};

Inputs read_inputs(const Context& ctx, const Options& options) {
  std::vector<float> images(static_cast<std::size_t>(options.batch * options.size * options.size * 3));
  std::vector<std::int32_t> labels(static_cast<std::size_t>(options.batch));
  std::ifstream file(options.input, std::ios::binary);
  file.read(reinterpret_cast<char*>(images.data()),
            static_cast<std::streamsize>(images.size() * sizeof(float)));
  file.read(reinterpret_cast<char*>(labels.data()),
            static_cast<std::streamsize>(labels.size() * sizeof(std::int32_t)));
  if (!file)
    throw FileError(options.input + ": images and labels of the batch are expected, and it is too short");
  for (const std::int32_t label : labels) {
    if (label < 0 || label >= kClasses)
      throw FileError(options.input + ": labels below " + std::to_string(kClasses) + " are expected, got " +
                      std::to_string(label));
  }
  return {Tensor::from(ctx, {options.batch, options.size, options.size, 3}, images),
          Tensor::from(ctx, {options.batch}, labels)};
}

std::unique_ptr<Model> make_model(const Context& ctx, const Options& options) {
  ModelSpec spec;
  spec.width = options.width;
  spec.input_height = spec.input_width = options.size;
  spec.head = imagenet_head(kClasses);
  auto model = std::make_unique<Model>(ctx, spec);
  if (!options.weights.empty()) load_weights(ctx, *model, read_weight_file(options.weights));
  return model;
}

Preprocessing preprocessing_of(const Options& options) {
  return {.height = options.size, .width = options.size};
}

// A line for each product: its name and both ends of its range.
void write_ranges(const Options& options) {
  const Context ctx(open_device(options.device, options.threads));
  const Ranges ranges =
      calibrate(ctx, *make_model(ctx, options), preprocessing_of(options), read_inputs(ctx, options).images);
  std::ofstream file(options.output);
  file.precision(std::numeric_limits<float>::max_digits10);
  for (const auto& [name, range] : ranges) file << name << ' ' << range.low << ' ' << range.high << '\n';
  if (!file.flush()) throw FileError(options.output + ": cannot be written");
}

Ranges read_ranges(const std::string& name) {
  Ranges ranges;
  std::ifstream file(name);
  ValueRange range;
  for (std::string product; file >> product >> range.low >> range.high;) ranges[product] = range;
  return ranges;
}

class Network {
 public:
  Network(const Context& ctx, const Options& options, const Inputs& inputs)
      : ctx_(ctx), inputs_(inputs), model_(make_model(ctx, options)) {
    if (options.mode == "train") {
      if (options.learns == "head") train_last(*model_, 0);
      set_batch_statistics(*model_, options.learns == "all");
      step_.emplace(ctx_.with_recomputation(options.recompute), *model_,
                    GradientStepOptions{.precision = options.precision.value_or(Precision::f32)});
    } else {
      ModelDescription description;
      if (options.precision == Precision::i8) description.ranges = read_ranges(options.ranges);
      PlannedModel planned(ctx_, *model_, preprocessing_of(options), GraphInput::images,
                           plan_options(*ctx_.device(), description, options.precision));
      planned.keep_only(options.batch, std::move(model_));
      session_.emplace(planned.session_over(options.batch, inputs.images.data()));
    }
  }

  // Does the work once, and waits for it.
  void run() {
    if (step_) {
      loss_ = train();
    } else {
      session_->run();
      ctx_.device()->api().synchronize(ctx_.stream());
    }
  }

  // Of the last run: the loss, or the first logit.
  float answer() { return step_ ? loss_ : logits()[0]; }

  // What inference gives: float32 [batch, classes].
  std::vector<float> logits() { return session_->output(kLogitsOutput).to_vector<float>(ctx_); }

 private:
  // Forward, backward, one Adam step.
  float train() {
    constexpr double kRate = 1e-3;
    return step_->run({.images = inputs_.images, .labels = inputs_.labels}, {}, kRate, steps_++)
        .loss.item<float>(ctx_);
  }

  const Context ctx_;
  const Inputs inputs_;
  std::unique_ptr<Model> model_;      // trains
  std::optional<GradientStep> step_;  // trains
  std::int64_t steps_ = 0;
  std::optional<Session> session_;  // infers
  float loss_ = 0;
};

void write_output(const std::string& name, const std::vector<float>& values) {
  std::ofstream file(name, std::ios::binary);
  file.write(reinterpret_cast<const char*>(values.data()),
             static_cast<std::streamsize>(values.size() * sizeof(float)));
  if (!file.flush()) throw FileError(name + ": cannot be written");
}

void serve(const Options& options) {
  const Context ctx(open_device(options.device, options.threads));
  const Inputs inputs = read_inputs(ctx, options);
  const double before = resident_mebibytes();
  Network network(ctx, options, inputs);
  for (int i = 0; i < options.warm_ups; ++i) network.run();
  const bool on_gpu = ctx.device()->api().memory().total > 0;
  const double grown = on_gpu ? device_mebibytes(*ctx.device()) : resident_mebibytes() - before;
  if (!options.output.empty()) write_output(options.output, network.logits());
  const std::size_t peak = ctx.device()->allocator().statistics().peak_bytes_in_use;
  std::cout << "ready " << grown << " " << static_cast<double>(peak) / kMebibyte << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    if (line != "run") throw UsageError("\"run\" is expected, got \"" + line + "\"");
    Stopwatch watch;
    network.run();
    const double milliseconds = watch.lap_ms();
    std::cout << milliseconds << " " << network.answer() << std::endl;
  }
}

}  // namespace
}  // namespace pila::bench

int main(int argc, char** argv) {
  CLI::App app("Runs MobileNetV2 once for each line \"run\" on standard input.", "pila-bench-model");
  pila::bench::Options options;
  app.add_option("--mode", options.mode)->required()->check(CLI::IsMember({"infer", "train", "calibrate"}));
  app.add_option("--input", options.input, "file of float32 images in NHWC, then int32 labels")->required();
  app.add_option("--learns", options.learns,
                 "in training: everything, by the batch's statistics or by given ones, or the head")
      ->check(CLI::IsMember({"all", "all-by-given-statistics", "head"}))
      ->capture_default_str();
  app.add_option("--weights", options.weights, "Keras HDF5 file (default: random ones)");
  app.add_option("--output", options.output, "file for the logits, float32, or for ranges");
  app.add_option("--ranges", options.ranges, "for int8: file of --mode calibrate");
  app.add_option("--width", options.width)->capture_default_str();
  app.add_option("--size", options.size)->capture_default_str();
  app.add_option("--batch", options.batch)->capture_default_str();
  app.add_option("--threads", options.threads)->capture_default_str();
  app.add_flag("--recompute", options.recompute, "train by computing blocks again on the way back");
  app.add_option("--warm-ups", options.warm_ups)->capture_default_str();
  pila::add_device_option(app, options.device);
  pila::add_precision_option(app, options.precision);
  CLI11_PARSE(app, argc, argv);
  try {
    options.mode == "calibrate" ? pila::bench::write_ranges(options) : pila::bench::serve(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pila-bench-model: %s\n", error.what());
    return 1;
  }
  return 0;
}
