#include "apps/export/to_int8.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "apps/core/command.h"
#include "apps/core/output.h"
#include "apps/export/compare_answers.h"
#include "apps/export/folder_pictures.h"
#include "apps/report/predict.h"
#include "engine/core/error.h"
#include "engine/plan/calibration.h"
#include "layers/model_graph.h"

namespace pila {
namespace {

constexpr std::size_t kFewestImages = 16, kBatch = 8;

class Converter {
 public:
  Converter(const Context& ctx, const Int8Options& options, const std::vector<std::string>& classes,
            const LoadedModel& model)
      : ctx_(ctx),
        options_(options),
        classes_(classes),
        model_(model),
        pictures_(options.calibrate, classes, model.preprocessing, {.most = options.images}) {
    if (pictures_.files().size() < kFewestImages) {
      throw FileError(
          fmt::format("{}: at least {} readable pictures are expected for calibration, and there are {}",
                      options.calibrate.string(), kFewestImages, pictures_.files().size()));
    }
    exact_ = predict(pictures_, {});
  }

  Ranges run() {
    choose(calibrate());
    measure();
    return std::move(best_.ranges);
  }

 private:
  struct Candidate {
    Clipping clipping = Clipping::min_max;
    Ranges ranges;
    Predictions answers;  // on the pictures of calibration
    double loss = std::numeric_limits<double>::infinity();
  };

  static PlanOptions plan_for(const Ranges& ranges) { return {.precision = Precision::i8, .ranges = ranges}; }

  Predictions predict(const FolderPictures& pictures, const PlanOptions& plan) const {
    Predictions result;
    result.classes = classes_;
    result.files = pictures.files();
    result.labels = pictures.labels();
    PlannedModel planned(ctx_, *model_.model, model_.preprocessing, GraphInput::pixels, plan);
    for (std::size_t i = 0; i < result.files.size(); i += kBatch) {
      if (interrupted()) throw Error("interrupted");
      append_outputs(planned, pictures.pixels(ctx_, i, std::min(kBatch, result.files.size() - i)), result);
    }
    result.check();
    return result;
  }

  Calibration calibrate() const {
    Calibration calibration(ctx_,
                            trace_model(ctx_, *model_.model, model_.preprocessing, 1, GraphInput::pixels));
    for (std::size_t i = 0; i < pictures_.files().size(); ++i) {
      if (interrupted()) throw Error("interrupted");
      calibration.add(pictures_.pixels(ctx_, i, 1));
    }
    return calibration;
  }

  void choose(const Calibration& calibration) {
    output_.write_line(
        fmt::format("Ranges by {} pictures of {}:", pictures_.files().size(), options_.calibrate.string()));
    output_.write_line("    loss   like float32");
    for (const Clipping clipping : kClippings) {
      Candidate candidate{clipping, calibration.ranges(clipping), {}, 0};
      candidate.answers = predict(pictures_, plan_for(candidate.ranges));
      candidate.loss = mean_loss(exact_, candidate.answers, model_.temperature);
      output_.write_line(fmt::format("{:>8.4f}{:>14.2f}%   {}", candidate.loss,
                                     100 * same_answers(exact_, candidate.answers), name_of(clipping)));
      if (candidate.loss < best_.loss) best_ = std::move(candidate);
    }
    output_.write_line(
        fmt::format("{:>8.4f}                  float32", mean_loss(exact_, exact_, model_.temperature)));
    output_.write_line(fmt::format("Chosen: {}\n", name_of(best_.clipping)));
  }

  void measure() {
    AnswerComparison comparison;
    std::string folder = options_.calibrate.string();
    if (options_.data.empty()) {
      comparison = compare_answers(exact_, best_.answers);
    } else {
      folder = options_.data.string();
      const FolderPictures pictures(options_.data, classes_, model_.preprocessing, {.labelled = true});
      if (pictures.files().empty()) throw FileError(folder + ": no picture could be read");
      comparison = compare_answers(predict(pictures, {}), predict(pictures, plan_for(best_.ranges)));
    }
    output_.write_line(comparison.labelled
                           ? fmt::format("Right answers on the labelled pictures of {}:", folder)
                           : fmt::format("Answers like float32's on the pictures of {}, of which "
                                         "none is labelled:",
                                         folder));
    std::string table = comparison_text(comparison, classes_);
    table.pop_back();  // write_line() ends it
    output_.write_line(table);
    if (const double drop = comparison.all.drop(); drop > options_.max_drop) {
      throw Error(
          fmt::format("in int8 {:.2f}% of the pictures of {} are lost, and --max-drop allows {}%; nothing "
                      "was written",
                      drop, folder, options_.max_drop));
    }
  }

  const Context& ctx_;
  const Int8Options& options_;
  const std::vector<std::string>& classes_;
  const LoadedModel& model_;
  FolderPictures pictures_;
  Predictions exact_;
  Candidate best_;
  Output output_;
};

}  // namespace

Ranges calibrate_for_int8(const Context& ctx, const Int8Options& options,
                          const std::vector<std::string>& classes, const LoadedModel& model) {
  return Converter(ctx, options, classes, model).run();
}

}  // namespace pila
