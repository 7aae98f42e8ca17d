#include "apps/report/evaluate_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <set>

#include "apps/core/class_names.h"
#include "apps/core/command.h"
#include "apps/core/device.h"
#include "apps/core/output.h"
#include "apps/core/precision.h"
#include "apps/core/progress.h"
#include "apps/data/image_folder.h"
#include "apps/data/still_images.h"
#include "apps/report/confidence_card.h"
#include "apps/report/gradcam_files.h"
#include "apps/report/predict.h"
#include "apps/report/report_files.h"
#include "engine/core/error.h"
#include "weights/load_model.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

void note(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

std::vector<std::string> class_names(const EvaluateOptions& options, const LoadedModel& loaded) {
  const std::int64_t count = loaded.model->classes();
  if (count == 0) {
    throw FileError(options.model.string() +
                    ": a classifier is expected, and the model ends without classes (no top)");
  }
  const auto names = options.labels.empty() ? loaded.classes : read_labels(options.labels);
  if (names.empty()) {
    throw FileError(options.model.string() +
                    ": the model does not name its classes; say them (--labels FILE)");
  }
  if (static_cast<std::int64_t>(names.size()) != count) {
    throw FileError(fmt::format("{}: {} class names are expected for {}, and it has {}",
                                (options.labels.empty() ? options.model : options.labels).string(), count,
                                options.model.string(), names.size()));
  }
  return distinct_names(names);
}

Confidence read_confidence(const EvaluateOptions& options, const LoadedModel& loaded) {
  try {
    return confidence_of(loaded);
  } catch (const FileError& error) {
    throw FileError(options.model.string() + ": " + error.what());
  }
}

bool wanted(Part part, const std::string& name) {
  return name == "all" || (name == "train" && part == Part::train) ||
         (name == "val" && part == Part::validation) || (name == "test" && part == Part::test);
}

// The model's class for each of the folder's. Throws FileError for one that the model lacks.
std::vector<std::int32_t> match_classes(const EvaluateOptions& options, const ImageFolder& folder,
                                        const std::vector<std::string>& classes) {
  std::vector<std::int32_t> labels;
  for (const std::string& name : folder.classes) {
    const auto found = std::find(classes.begin(), classes.end(), name);
    if (found == classes.end()) {
      throw FileError(fmt::format(
          "{}: its class '{}' is none of the model's ({}); leave it out (--exclude "
          "'{}'), or see how much of it is rejected (--unknown '{}')",
          options.data.string(), name, fmt::join(classes, ", "), name, (options.data / name).string()));
    }
    labels.push_back(static_cast<std::int32_t>(found - classes.begin()));
  }
  return labels;
}

std::vector<LabelledFile> labelled_files(const EvaluateOptions& options,
                                         const std::vector<std::string>& classes) {
  const ImageFolder folder = scan_image_folder(options.data, options.exclude);
  for (const std::string& warning : folder.warnings) note("warning: " + warning);
  const auto labels = match_classes(options, folder, classes);
  std::vector<LabelledFile> files;
  std::set<std::int32_t> met;
  for (const LabelledImage& image : folder.images) {
    if (!wanted(image.part, options.part)) continue;
    files.push_back({image.file, labels[static_cast<std::size_t>(image.label)]});
    met.insert(files.back().label);
  }
  if (files.empty()) {
    throw FileError(options.data.string() + ": labelled pictures are expected" +
                    (options.part == "all" ? "" : " (--part " + options.part + ")") + ", and there are none");
  }
  std::vector<std::string> absent;
  for (std::size_t k = 0; k < classes.size(); ++k) {
    if (met.count(static_cast<std::int32_t>(k)) == 0) absent.push_back(classes[k]);
  }
  if (!absent.empty()) {
    note(fmt::format("{}: no pictures of the model's {}", options.data.string(), fmt::join(absent, ", ")));
  }
  return files;
}

std::vector<LabelledFile> unknown_files(const fs::path& folder) {
  std::vector<LabelledFile> files;
  for (const fs::path& path : find_images(folder).files) files.push_back({path, kUnknownLabel});
  if (files.empty()) throw FileError(folder.string() + ": pictures are expected, and there are none");
  return files;
}

class Evaluator {
 public:
  explicit Evaluator(const EvaluateOptions& options)
      : options_(options),
        ctx_(open_device(options.device, options.threads)),
        loaded_(load_model(ctx_, options.model)),
        classes_(class_names(options, loaded_)),
        confidence_(read_confidence(options, loaded_)),
        plan_(plan_options(*ctx_.device(), loaded_, options.precision)) {
    for (const std::string& warning : loaded_.warnings) {
      note("warning: " + options.model.string() + ": " + warning);
    }
    if (plan_.precision != Precision::f32) {
      note(options.model.string() + ": computed in " + to_string(plan_.precision));
    }
  }

  Evaluation run() {
    const auto files = labelled_files(options_, classes_);
    const auto others =
        options_.unknown.empty() ? std::vector<LabelledFile>() : unknown_files(options_.unknown);
    Progress progress("images", static_cast<std::int64_t>(files.size() + others.size()), true);
    known_ = predict(files, options_.data, progress);
    Evaluation evaluation = evaluate(known_, confidence_);
    if (!others.empty()) {
      unknown_ = predict(others, options_.unknown, progress);
      evaluation.unknown = evaluate_unknown(known_, unknown_, confidence_);
    }
    return evaluation;
  }

  const Predictions& known() const { return known_; }

  void write(const Evaluation& evaluation) const {
    write_report(options_.out, evaluation, known_);
    if (ctx_.device()->name() == "cpu" || options_.gradcam == 0) return write_grad_cams(ctx_, loaded_);
    // Gradients are the processor's.
    const Context cpu(Device::cpu(options_.threads));
    write_grad_cams(cpu, load_model(cpu, options_.model));
  }

 private:
  void write_grad_cams(const Context& ctx, const LoadedModel& loaded) const {
    pila::write_grad_cams(options_.out / "gradcam", ctx, *loaded.model, loaded.preprocessing, known_,
                          options_.gradcam, confidence_.temperature);
  }

  Predictions predict(const std::vector<LabelledFile>& files, const fs::path& folder,
                      Progress& progress) const {
    PredictOptions how;
    how.batch = options_.batch;
    how.plan = plan_;
    how.progress = [&](std::int64_t count) { progress.advance(count); };
    how.message = [&](const std::string& line) { progress.note(line); };
    auto result = predict_files(ctx_, *loaded_.model, loaded_.preprocessing, classes_, files, how);
    if (result.predictions.images() == 0) {
      throw FileError(
          fmt::format("{}: no picture could be read ({} skipped)", folder.string(), result.skipped));
    }
    if (result.skipped > 0) {
      progress.note(fmt::format("{}: {} of {} pictures could not be read", folder.string(), result.skipped,
                                files.size()));
    }
    return std::move(result.predictions);
  }

  const EvaluateOptions& options_;
  Context ctx_;
  LoadedModel loaded_;
  std::vector<std::string> classes_;
  Confidence confidence_;
  PlanOptions plan_;
  Predictions known_, unknown_;
};

}  // namespace

int evaluate_command(const EvaluateOptions& options) {
  if (options.gradcam > 0 && options.out.empty()) {
    throw UsageError("--gradcam: expected --out too, where its pictures go");
  }
  const bool json_to_stdout = options.json == "-";
  std::unique_ptr<Output> json;  // opened first: a place that cannot be written costs no time
  if (!options.json.empty() && !json_to_stdout) json = std::make_unique<Output>(fs::path(options.json));

  Evaluator evaluator(options);
  const Evaluation evaluation = evaluator.run();
  if (!options.out.empty()) evaluator.write(evaluation);
  const auto write = [](Output& output, std::string text) {
    text.pop_back();  // write_line() ends it
    output.write_line(text);
    output.finish();
  };
  const std::string machine_readable = report_json(evaluation, evaluator.known());
  if (json) write(*json, machine_readable);
  Output standard;
  write(standard, json_to_stdout ? machine_readable : report_text(evaluation));
  return kDone;
}

}  // namespace pila
