#include "apps/export/export_command.h"

#include <fmt/format.h>

#include <cstdio>
#include <span>

#include "apps/core/class_names.h"
#include "apps/core/command.h"
#include "apps/export/to_onnx.h"
#include "engine/core/error.h"
#include "layers/model_graph.h"
#include "weights/atomic_file.h"
#include "weights/load_model.h"
#include "weights/save_weights.h"
#include "weights/transfer.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

std::vector<std::string> class_names(const ExportOptions& options, const LoadedModel& loaded) {
  if (loaded.model->classes() == 0) {
    throw FileError(options.model.string() +
                    ": a classifier is expected, and the model ends without classes (no top)");
  }
  const auto names = options.labels.empty() ? loaded.classes : read_labels(options.labels);
  if (!names.empty() && static_cast<std::int64_t>(names.size()) != loaded.model->classes()) {
    throw FileError(fmt::format("{}: {} class names are expected for {}, and it has {}",
                                (options.labels.empty() ? options.model : options.labels).string(),
                                loaded.model->classes(), options.model.string(), names.size()));
  }
  return names;
}

void write_keras(const Context& ctx, const ExportOptions& options, const LoadedModel& loaded) {
  if (!options.no_top) return save_weights(ctx, *loaded.model, options.out);
  ModelSpec spec = loaded.model->spec();
  spec.head.clear();
  Model backbone(ctx, spec);
  transfer_weights(ctx, backbone, {}, loaded, options.model.string());
  save_weights(ctx, backbone, options.out);
}

void write_onnx(const Context& ctx, const ExportOptions& options, const LoadedModel& loaded) {
  Graph graph = trace_model(ctx, *loaded.model, loaded.preprocessing, 1, GraphInput::images);
  graph.outputs() = {graph.outputs()[kLogitsOutput]};
  graph.drop_unused();
  const std::string bytes = to_onnx(ctx, graph, loaded, options.batch);
  write_atomically(options.out, std::as_bytes(std::span(bytes)));
}

void write_int8(const Context& ctx, const ExportOptions& options, LoadedModel& loaded) {
  const auto names = loaded.classes.empty() ? index_names(loaded.model->classes()) : loaded.classes;
  loaded.ranges = calibrate_for_int8(ctx, options.int8, distinct_names(names), loaded);
  save_model(ctx, *loaded.model, loaded, options.out);
}

}  // namespace

int export_command(const ExportOptions& options) {
  std::error_code ignored;
  if (fs::equivalent(options.model, options.out, ignored)) {
    throw UsageError("--out: another file than that of --model is expected");
  }
  if (options.to != "onnx" && options.batch != 0) throw UsageError("--batch: is for --to onnx");
  if (options.to != "keras" && options.no_top) throw UsageError("--no-top: is for --to keras");
  if (options.to == "keras" && !options.labels.empty()) throw UsageError("--labels: Keras keeps none");
  const Context ctx(Device::cpu(options.threads));
  LoadedModel loaded = load_model(ctx, options.model);
  for (const std::string& warning : loaded.warnings) {
    std::fprintf(stderr, "%s: %s\n", options.model.c_str(), warning.c_str());
  }
  if (options.to == "keras") {
    write_keras(ctx, options, loaded);
  } else {
    loaded.classes = class_names(options, loaded);
    options.to == "onnx" ? write_onnx(ctx, options, loaded) : write_int8(ctx, options, loaded);
  }
  std::fprintf(stderr, "Wrote %s\n", options.out.c_str());
  return kDone;
}

}  // namespace pila
