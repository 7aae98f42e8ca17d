// pila-bench-model: runs MobileNetV2 when told to, so that a driver can take turns between programs.
// On standard input, "run" does the work once and answers with milliseconds and the loss, for inference the
// first logit; the input's end ends the program. Before the first one it warms up and says "ready" with the
// mebibytes of memory that model, inputs and warm-up took. In int8, ranges are those of the input images.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include "apps/core/device.h"
#include "apps/core/precision.h"
#include "apps/core/stopwatch.h"
#include "bench/models/calibrate.h"
#include "engine/autograd/tape.h"
#include "engine/core/error.h"
#include "engine/ops/ops.h"
#include "engine/optim/adam.h"
#include "layers/model.h"
#include "layers/planned_model.h"
#include "weights/load_weights.h"

namespace pila::bench {
namespace {

constexpr std::int64_t kClasses = 1000;  // of the ImageNet head

struct Options {
  std::string mode, input, weights, output, device = "cpu";
  double width = 1;
  std::int64_t size = 224, batch = 1;
  int threads = 1, warm_ups = 3;
  std::optional<Precision> precision;
};

// Of this process' memory, what is in the machine's.
double resident_mebibytes() {
  std::ifstream file("/proc/self/statm");
  double all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
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

class Network {
 public:
  explicit Network(const Options& options)
      : ctx_(open_device(options.device, options.threads)),
        inputs_(read_inputs(ctx_, options)),
        model_(std::make_unique<Model>(ctx_, spec(options))) {
    if (!options.weights.empty()) load_weights(ctx_, *model_, read_weight_file(options.weights));
    if (options.mode == "train") {
      std::vector<AdamParameter> parameters;
      for (const Parameter* parameter : model_->trainable_parameters()) {
        parameters.push_back({.value = parameter->value});
      }
      adam_.emplace(ctx_, std::move(parameters));
    } else {
      const Preprocessing size{.height = options.size, .width = options.size};
      ModelDescription description;
      if (options.precision == Precision::i8) {
        description.ranges = calibrate(ctx_, *model_, size, inputs_.images);
      }
      planned_.emplace(ctx_, *model_, size, GraphInput::images,
                       plan_options(*ctx_.device(), description, options.precision));
      planned_->keep_only(options.batch, std::move(model_));
      planned_->session(options.batch).input().assign(ctx_, inputs_.images);
    }
  }

  // Does the work once, and waits for it.
  void run() {
    if (adam_) {
      loss_ = train();
    } else {
      session().run();
      ctx_.device()->api().synchronize(ctx_.stream());
    }
  }

  // Of the last run: the loss, or the first logit.
  float answer() { return adam_ ? loss_ : logits()[0]; }

  // What inference gives: float32 [batch, classes].
  std::vector<float> logits() { return session().output(kLogitsOutput).to_vector<float>(ctx_); }

 private:
  static ModelSpec spec(const Options& options) {
    ModelSpec spec;
    spec.width = options.width;
    spec.input_height = spec.input_width = options.size;
    spec.head = imagenet_head(kClasses);
    return spec;
  }

  Tensor loss_of(const Context& ctx, const Tensor& logits) const {
    return ops::mean(ctx, ops::sparse_cross_entropy(ctx, logits, inputs_.labels));
  }

  const Session& session() { return planned_->session(inputs_.images.shape()[0]); }

  // Forward with batch statistics, backward, one Adam step.
  float train() {
    const auto step = Tensor::from(ctx_, Shape{}, std::vector<std::int64_t>{adam_->steps()});
    Tape tape;
    const Context training = ctx_.for_training(0, step).with_recorder(&tape);
    for (const Parameter* parameter : model_->trainable_parameters()) tape.watch(parameter->value);
    const Tensor loss = loss_of(training, model_->logits(training, inputs_.images));
    const Gradients gradients = tape.backward(training.no_grad(), loss);
    adam_->step(ctx_, gradients, 1e-3);
    return loss.item<float>(ctx_);
  }

  Context ctx_;
  Inputs inputs_;
  std::unique_ptr<Model> model_;         // trains
  std::optional<PlannedModel> planned_;  // infers
  std::optional<Adam> adam_;             // trains
  float loss_ = 0;
};

void write_output(const std::string& name, const std::vector<float>& values) {
  std::ofstream file(name, std::ios::binary);
  file.write(reinterpret_cast<const char*>(values.data()),
             static_cast<std::streamsize>(values.size() * sizeof(float)));
  if (!file.flush()) throw FileError(name + ": cannot be written");
}

void serve(const Options& options) {
  const double before = resident_mebibytes();
  Network network(options);
  for (int i = 0; i < options.warm_ups; ++i) network.run();
  const double grown = resident_mebibytes() - before;
  if (!options.output.empty()) write_output(options.output, network.logits());
  std::cout << "ready " << grown << std::endl;
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
  app.add_option("--mode", options.mode)->required()->check(CLI::IsMember({"infer", "train"}));
  app.add_option("--input", options.input, "file of float32 images in NHWC, then int32 labels")->required();
  app.add_option("--weights", options.weights, "Keras HDF5 file (default: random ones)");
  app.add_option("--output", options.output, "file for the logits, float32");
  app.add_option("--width", options.width)->capture_default_str();
  app.add_option("--size", options.size)->capture_default_str();
  app.add_option("--batch", options.batch)->capture_default_str();
  app.add_option("--threads", options.threads)->capture_default_str();
  app.add_option("--warm-ups", options.warm_ups)->capture_default_str();
  pila::add_device_option(app, options.device);
  pila::add_precision_option(app, options.precision);
  CLI11_PARSE(app, argc, argv);
  try {
    pila::bench::serve(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pila-bench-model: %s\n", error.what());
    return 1;
  }
  return 0;
}
