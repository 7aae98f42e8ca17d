#include "apps/export/export_command.h"

#include <fmt/format.h>

#include <cstdio>
#include <span>

#include "apps/core/command.h"
#include "apps/export/to_onnx.h"
#include "engine/core/error.h"
#include "layers/model_graph.h"
#include "weights/atomic_file.h"
#include "weights/load_model.h"
#include "weights/save_weights.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

std::vector<std::string> class_names(const ExportOptions& options, const LoadedModel& loaded) {
  const auto names = options.labels.empty() ? loaded.classes : read_labels(options.labels);
  if (!names.empty() && static_cast<std::int64_t>(names.size()) != loaded.model->classes()) {
    throw FileError(fmt::format("{}: {} class names are expected for {}, and it has {}",
                                (options.labels.empty() ? options.model : options.labels).string(),
                                loaded.model->classes(), options.model.string(), names.size()));
  }
  return names;
}

void write_onnx(const Context& ctx, const ExportOptions& options, LoadedModel& loaded) {
  if (loaded.model->classes() == 0) {
    throw FileError(options.model.string() +
                    ": a classifier is expected, and the model ends without classes (no top)");
  }
  loaded.classes = class_names(options, loaded);
  Graph graph = trace_model(ctx, *loaded.model, loaded.preprocessing, 1, GraphInput::images);
  graph.outputs() = {graph.outputs()[kLogitsOutput]};
  graph.drop_unused();
  const std::string bytes = to_onnx(ctx, graph, loaded, options.batch);
  write_atomically(options.out, std::as_bytes(std::span(bytes)));
}

}  // namespace

int export_command(const ExportOptions& options) {
  std::error_code ignored;
  if (fs::equivalent(options.model, options.out, ignored)) {
    throw UsageError("--out: another file than that of --model is expected");
  }
  if (options.to != "onnx" && (options.batch != 0 || !options.labels.empty())) {
    throw UsageError("--batch and --labels: are for --to onnx");
  }
  const Context ctx(Device::cpu(1));
  LoadedModel loaded = load_model(ctx, options.model);
  for (const std::string& warning : loaded.warnings) {
    std::fprintf(stderr, "%s: %s\n", options.model.c_str(), warning.c_str());
  }
  if (options.to == "onnx") {
    write_onnx(ctx, options, loaded);
  } else {
    save_weights(ctx, *loaded.model, options.out);
  }
  std::fprintf(stderr, "Wrote %s\n", options.out.c_str());
  return kDone;
}

}  // namespace pila
