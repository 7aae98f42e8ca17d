#include <cstdio>
#include <fstream>
#include <memory>
#include <string_view>

#include "apps/core/command.h"
#include "apps/core/device.h"
#include "apps/core/output.h"
#include "bench/kernels/gpu_peak.h"
#include "bench/kernels/machine_peak.h"
#include "bench/layers/report.h"
#include "bench/profile/profile.h"
#include "engine/core/error.h"

namespace pila::bench {
namespace {

constexpr int kRounds = 15;

// As Linux calls it; the instruction set would not tell the clock.
std::string processor_name() {
  constexpr std::string_view kKey = "model name";
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(": ");
    if (line.starts_with(kKey) && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "processor";
}

bool is_gpu(const Context& ctx) { return ctx.device()->name() != "cpu"; }

std::vector<Precision> precisions_of(const ProfileOptions& options, bool gpu) {
  if (options.precisions.empty()) return {gpu ? Precision::f16 : Precision::f32};
  for (const Precision precision : options.precisions) {
    if (!gpu && precision != Precision::f32) {
      throw UsageError("--precision " + to_string(precision) +
                       ": a processor's layers are compared in float32");
    }
  }
  return options.precisions;
}

std::unique_ptr<Library> open_library(const ProfileOptions& options, const Context& ctx, int threads) {
  if (options.against == "onednn") return open_onednn(ctx, threads);
  if (options.against == "cudnn") return open_cudnn(ctx, false);
  if (options.against == "cudnn-tf32") return open_cudnn(ctx, true);
  return nullptr;
}

Roof roof_of(const Context& ctx, int threads, DType type) {
  if (is_gpu(ctx)) return measure_gpu_roof(ctx, type);
  const MachinePeak peak = measure_machine_peak(threads);
  return {1e9 * peak.gflops, 1e9 * peak.gigabytes_per_s};
}

std::vector<Task> all_tasks(const ProfileOptions& options) {
  std::vector<Task> tasks;
  const auto network = mobilenet_v2_layers(options.width, options.size);
  for (const Direction direction : directions_of(options)) {
    const auto some = tasks_of(network, direction);
    tasks.insert(tasks.end(), some.begin(), some.end());
  }
  return tasks;
}

// The files of results, opened before the work begins.
class ResultFiles {
 public:
  explicit ResultFiles(const ProfileOptions& options) {
    open(options.json_file, to_json);
    open(options.csv_file, to_csv);
    open(options.plot_file, to_svg);
  }
  void write(const std::vector<Comparison>& comparisons) {
    for (auto& [output, text_of] : files_) {
      std::string text = text_of(comparisons);
      text.pop_back();  // the line's end, which write_line() adds
      output->write_line(text);
      output->finish();
    }
  }

 private:
  using Writer = std::string (*)(const std::vector<Comparison>&);
  void open(const std::string& name, Writer writer) {
    if (!name.empty()) files_.emplace_back(std::make_unique<Output>(name), writer);
  }
  std::vector<std::pair<std::unique_ptr<Output>, Writer>> files_;
};

Comparison compare(const Context& ctx, const ProfileOptions& options, int threads, const Setting& setting,
                   Library* library) {
  Comparison comparison;
  comparison.device = is_gpu(ctx) ? ctx.device()->description() : processor_name();
  if (library != nullptr) comparison.library = library->name();
  comparison.threads = is_gpu(ctx) ? 0 : threads;
  comparison.setting = setting;
  for (const Task& task : all_tasks(options)) {
    if (interrupted()) throw Error("interrupted; nothing is written");
    comparison.rows.push_back(measure(ctx, task, setting, library));
  }
  return comparison;
}

}  // namespace

void profile_layers(const ProfileOptions& options) {
  ResultFiles files(options);
  std::vector<Comparison> comparisons;
  for (const int given : options.threads) {
    const int threads = resolved_threads(given);
    const Context ctx(open_device(options.device, threads));
    const auto precisions = precisions_of(options, is_gpu(ctx));
    if (!options.tune_file.empty()) return tune_products(ctx, options, precisions);
    const auto library = open_library(options, ctx, threads);
    for (const Precision precision : precisions) {
      const Roof roof = roof_of(ctx, threads, storage_of(precision));
      for (const std::int64_t batch : options.batches) {
        const Precision products = products_in(precision);
        const Setting setting{batch, storage_of(precision), products,
                              options.rounds > 0 ? options.rounds : kRounds, roof};
        comparisons.push_back(compare(ctx.with_products(products), options, threads, setting, library.get()));
        if (!options.json) std::printf("%s\n", to_text(comparisons.back()).c_str());
        std::fflush(stdout);
      }
    }
    if (is_gpu(ctx)) break;  // threads are the processor's
  }
  if (options.json) std::printf("%s", to_json(comparisons).c_str());
  files.write(comparisons);
}

}  // namespace pila::bench
