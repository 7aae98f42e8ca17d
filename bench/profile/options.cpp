#include "bench/profile/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <thread>

#include "apps/core/device.h"
#include "apps/core/precision.h"
#include "engine/core/error.h"

namespace pila::bench {
namespace {

void add_input_options(CLI::App& app, ProfileOptions& options) {
  app.add_option(
         "--model", options.model,
         "model file whose plan is measured; else MobileNetV2 with random weights, in int8 with ranges "
         "of noise")
      ->type_name("FILE");
  app.add_option("--network", options.network, "compare this network's layers and blocks instead")
      ->check(CLI::IsMember({"mobilenet_v2"}))
      ->type_name("mobilenet_v2");
  app.add_option("--width", options.width, "of the random network")
      ->check(CLI::Range(0.05, 4.0))
      ->capture_default_str();
  app.add_option("--size", options.size, "of its input")->check(CLI::Range(32, 4096))->capture_default_str();
  app.add_option("--batch", options.batches, "images; of layers, also several: 1,32")
      ->delimiter(',')
      ->check(CLI::Range(1, 4096))
      ->capture_default_str()
      ->type_name("N,...");
  app.add_flag("--pixels", options.pixels, "read uint8 pixels, scaled in a plan's first convolution");
  app.add_option("--without-pass", options.without, "leave a pass of the plan out")
      ->expected(1)
      ->take_all()
      ->type_name("PASS");
}

void add_how_options(CLI::App& app, ProfileOptions& options) {
  add_device_option(app, options.device);
  app.add_option("--threads", options.threads,
                 "of the processor, 0 for all cores; of layers, also several: 1,2")
      ->delimiter(',')
      ->check(CLI::Range(0, 1024))
      ->capture_default_str()
      ->type_name("N,...");
  app.add_option_function<std::vector<std::string>>(
         "--precision",
         [&options](const std::vector<std::string>& given) {
           for (const std::string& name : given) options.precisions.push_back(precision_names().at(name));
         },
         "how the network is computed (default: on a GPU float16, else float32, or as the model says); of "
         "layers, also several")
      ->delimiter(',')
      ->check(CLI::IsMember(precision_names()))
      ->type_name("float32|tf32|float16|bfloat16|int8,...");
  app.add_option("--rounds", options.rounds,
                 "turns whose median counts (default: 50 of a plan, 15 of layers)")
      ->check(CLI::Range(1, 1000000));
}

void add_comparison_options(CLI::App& app, ProfileOptions& options) {
  app.add_option("--direction", options.direction, "of layers; backward: gradients of data and of filters")
      ->check(CLI::IsMember({"forward", "backward", "both"}))
      ->capture_default_str()
      ->type_name("forward|backward|both");
  app.add_option(
         "--against", options.against,
         "whose layers ours take turns with: oneDNN's on a processor, the best of cuDNN's engines on a "
         "GPU (-tf32: float32 products may use tensor cores)")
      ->check(CLI::IsMember({"none", "onednn", "cudnn", "cudnn-tf32"}))
      ->capture_default_str()
      ->type_name("none|onednn|cudnn|cudnn-tf32");
}

void add_output_options(CLI::App& app, ProfileOptions& options) {
  app.add_option_function<std::vector<std::string>>(
         "--json",
         [&options](const std::vector<std::string>& files) {
           options.json_file = files.empty() ? std::string() : files.front();
           options.json = options.json_file.empty();
         },
         "print JSON, or write the layers' into a file")
      ->expected(0, 1)
      ->type_name("[FILE]");
  app.add_option("--csv", options.csv_file, "write a line for each layer")->type_name("FILE");
  app.add_option("--plot", options.plot_file, "draw layers below the roofline")->type_name("FILE.svg");
  app.add_option(
         "--tune", options.tune_file,
         "instead, time every way to cut the layers' products on a GPU, and write those that beat what is "
         "in use, as rows of kernels/cuda/tuned_cuts.inc")
      ->type_name("FILE");
}

void require(bool good, const char* message) {
  if (!good) throw UsageError(message);
}

}  // namespace

void add_options(CLI::App& app, ProfileOptions& options) {
  add_input_options(app, options);
  add_how_options(app, options);
  add_comparison_options(app, options);
  add_output_options(app, options);
}

void check(const ProfileOptions& options) {
  if (options.network.empty()) {
    require(options.batches.size() == 1 && options.threads.size() == 1 && options.precisions.size() <= 1,
            "a plan is measured with one --batch, --threads and --precision; --network takes several");
    require(options.against == "none" && options.direction == "forward",
            "--against and --direction: --network is expected beside them");
    require(options.tune_file.empty(), "--tune: --network is expected beside it");
    require(options.json_file.empty() && options.csv_file.empty() && options.plot_file.empty(),
            "files of results: --network is expected beside them; a plan's --json is printed");
    return;
  }
  require(options.model.empty() && !options.pixels && options.without.empty(),
          "--network compares layers: --model, --pixels and --without-pass are for plans");
  require(std::ranges::find(options.precisions, Precision::i8) == options.precisions.end(),
          "--network compares layers in floating-point numbers; int8 is for plans");
}

std::vector<Direction> directions_of(const ProfileOptions& options) {
  std::vector<Direction> directions;
  if (options.direction != "backward") directions = {Direction::forward};
  if (options.direction != "forward") {
    directions.insert(directions.end(), {Direction::data_gradient, Direction::filter_gradient});
  }
  return directions;
}

DType storage_of(Precision precision) {
  return precision == Precision::f16 ? DType::f16 : precision == Precision::bf16 ? DType::bf16 : DType::f32;
}

int resolved_threads(int threads) {
  return threads > 0 ? threads : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

}  // namespace pila::bench
