#include "apps/training/fine_tune.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>

#include "apps/core/command.h"
#include "apps/core/progress.h"
#include "apps/report/confidence_card.h"
#include "apps/report/gradcam_files.h"
#include "apps/report/report_files.h"
#include "apps/report/tensorboard.h"
#include "apps/training/pictures.h"
#include "apps/training/predict_cached.h"
#include "apps/training/run_start.h"
#include "apps/training/trainer.h"
#include "engine/core/error.h"
#include "engine/parallel/communicator.h"
#include "weights/save_weights.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

constexpr std::chrono::seconds kSaveInterval(20);

// What tells unknown objects apart best: see bench/accuracy/README.md.
constexpr FamiliarityScore kScore = FamiliarityScore::cosine;

// One training of a run: each round of the division, then all images together.
struct Fit {
  std::string name;  // empty for the only round
  std::vector<std::size_t> train, held_out;
};

std::vector<Fit> fits_of(const Division& division, bool refit) {
  std::vector<Fit> fits;
  for (std::size_t r = 0; r < division.rounds.size(); ++r) {
    const Round& round = division.rounds[r];
    const std::string name = division.rounds.size() == 1 ? "" : "fold-" + std::to_string(r + 1);
    fits.push_back({name, round.train, round.held_out});
  }
  if (refit) fits.push_back({"refit", division.all_but_test(), {}});
  return fits;
}

void append(Predictions& to, const Predictions& more) {
  to.classes = more.classes;
  to.files.insert(to.files.end(), more.files.begin(), more.files.end());
  to.labels.insert(to.labels.end(), more.labels.begin(), more.labels.end());
  to.logits.insert(to.logits.end(), more.logits.begin(), more.logits.end());
  to.features.insert(to.features.end(), more.features.begin(), more.features.end());
  to.familiarity.insert(to.familiarity.end(), more.familiarity.begin(), more.familiarity.end());
}

void put_predictions(const Context& ctx, Checkpoint& checkpoint, const Predictions& predictions) {
  const auto put = [&](const std::string& name, const auto& values) {
    checkpoint.put(ctx, name, Tensor::from(ctx, {static_cast<std::int64_t>(values.size())}, values));
  };
  checkpoint.put_integer("held out", predictions.images());
  put("held out labels", predictions.labels);
  put("held out logits", predictions.logits);
  put("held out features", predictions.features);
  put("held out familiarity", predictions.familiarity);
}

template <class T>
std::vector<T> get_values(const Context& ctx, const Checkpoint& checkpoint, const std::string& name) {
  const auto found = checkpoint.arrays.find(name);
  if (found == checkpoint.arrays.end()) throw FileError("has no '" + name + "'");
  const Tensor tensor = Tensor::empty(ctx, found->second.spec);
  checkpoint.get(ctx, name, tensor);
  return tensor.to_vector<T>(ctx);
}

std::string epoch_line(const MetricRow& row, const Recipe& recipe) {
  const std::int64_t epochs = Trainer::images_in(recipe, 1);
  const auto percent = [](double share) { return 100 * share; };
  std::string line = fmt::format("epoch {}/{}: loss {:.3f}, accuracy {:.1f}%", row.epoch + 1, epochs,
                                 row.values.at("loss"), percent(row.values.at("accuracy")));
  if (row.values.contains("val_loss")) {
    line += fmt::format("; validation: loss {:.3f}, accuracy {:.1f}%", row.values.at("val_loss"),
                        percent(row.values.at("val_accuracy")));
  }
  return line;
}

class FineTuning {
 public:
  FineTuning(const Context& ctx, const FineTuneOptions& options, RunFolder folder, const StartModel& start,
             const DataSet& data)
      : ctx_(ctx.with_recomputation(options.recompute)),
        options_(options),
        folder_(std::move(folder)),
        start_(start),
        data_(data) {
    division_ = divide(data, options, voice_of(ranks()));
    fits_ = fits_of(division_, wants_refit());
  }

  // Writes what a person may want to look at before the training is through, and a first checkpoint.
  void begin() {
    begin_fit();
    on_first(ranks(), [this] {
      write_text_file(folder_.path / "options.json", format_options(options_) + "\n");
      write_text_file(folder_.path / "split.json", split_json(data_, division_) + "\n");
      write_augmented_samples(folder_.path / "augmented.png", ctx_, data_, fits_[0].train,
                              options_.recipe.augmentation, start_.preprocessing(), options_.seed);
      save();
    });
  }

  void restore(const Checkpoint& checkpoint) {
    if (checkpoint.text("data") != data_.fingerprint) {
      throw FileError(folder_.path.string() + ": was trained on other images than " + data_.name +
                      " holds now; put them back, or begin anew with another --out");
    }
    fit_ = static_cast<std::size_t>(checkpoint.integer("fit"));
    if (fit_ > fits_.size()) throw FileError("the checkpoint is of another run");
    restore_predictions(checkpoint);
    begin_fit();
    trainer_->restore(checkpoint);
  }

  Evaluation run() {
    std::int64_t total = 0;
    for (std::size_t f = fit_; f < fits_.size(); ++f) {
      total += Trainer::images_in(options_.recipe, fits_[f].train.size());
    }
    progress_ = std::make_unique<Progress>("images", total - trainer_->done_images(), true, !ranks().first());
    for (;; begin_fit()) {
      train();
      if (fit_ + 1 == fits_.size() && fits_[fit_].held_out.empty()) break;
      append(held_out_, measure(fits_[fit_]));
      if (++fit_ == fits_.size()) break;
    }
    progress_.reset();
    return finish();
  }

 private:
  TrainingImages images_of(const Fit& fit) const {
    return {data_.cache.get(), data_.classes, data_.labels, fit.train, fit.held_out};
  }

  Predictions predict(const std::vector<std::size_t>& images) const {
    return predict_cached(ctx_, *model_, start_.preprocessing(), images_of(fits_[0]), images, threads());
  }

  // What the fit's own model says of the images that it has not seen.
  Predictions measure(const Fit& fit) const {
    Predictions predictions = predict(fit.held_out);
    predictions.familiarity = familiarity(predictions, kScore, fit_feature_statistics(predict(fit.train)));
    return predictions;
  }

  Communicator& ranks() const { return ctx_.ranks(); }
  int threads() const { return std::max(1, options_.threads); }

  void begin_fit() {
    const Fit& fit = fits_[std::min(fit_, fits_.size() - 1)];
    model_ = start_.make(data_.classes, options_.seed,
                         fit_ == 0 ? voice_of(ranks()) : NoteHook([](const std::string&) {}));
    trainer_ = std::make_unique<Trainer>(ctx_, *model_, start_.preprocessing(), options_.recipe,
                                         images_of(fit), options_.seed, threads(), options_.precision);
  }

  // A split made here, by a recipe that looks at nothing held out, leaves no reason to do without the
  // held-out images in the end.
  bool wants_refit() const {
    const bool held_out = !division_.rounds[0].held_out.empty();
    const bool watches = options_.recipe.monitor != Monitor::none;
    return options_.refit.value_or(held_out && !watches && !division_.by_folder);
  }

  void train();
  void go_on_without(const std::function<void()>& writing) const;
  void record(const MetricRow& row, MetricsCsv& csv, EventWriter& events) const;
  void save() const;
  void restore_predictions(const Checkpoint& checkpoint);
  std::string remark() const;
  Evaluation finish();
  Evaluation write_results(const Predictions& reported, const Confidence& confidence) const;

  const Context ctx_;
  const FineTuneOptions options_;
  const RunFolder folder_;
  const StartModel& start_;
  const DataSet& data_;
  Division division_;
  std::vector<Fit> fits_;

  std::size_t fit_ = 0;   // at hand
  Predictions held_out_;  // of the fits before it
  std::unique_ptr<Model> model_;
  std::unique_ptr<Trainer> trainer_;
  std::unique_ptr<Progress> progress_;
};

void FineTuning::train() {
  const std::string& name = fits_[fit_].name;
  if (!name.empty()) progress_->note("Training " + name);
  std::optional<MetricsCsv> csv;
  std::optional<EventWriter> events;
  on_first(ranks(), [&] {
    csv.emplace(folder_.metrics(name), trainer_->epochs());
    events.emplace(folder_.path);
  });
  auto saved = std::chrono::steady_clock::now();
  TrainerHooks hooks;
  hooks.progress = [&](std::int64_t images) { progress_->advance(images); };
  hooks.note = [&](const std::string& line) { progress_->note(line); };
  hooks.stop = interrupted;
  hooks.epoch = [&](const MetricRow& row) {
    progress_->note(epoch_line(row, options_.recipe));
    if (ranks().first()) go_on_without([&] { record(row, *csv, *events); });
  };
  hooks.save = [&](bool urgent) {
    const auto now = std::chrono::steady_clock::now();
    if (!ranks().first() || (!urgent && now - saved < kSaveInterval)) return;
    go_on_without([&] { save(); });
    saved = now;
  };
  if (trainer_->run(hooks)) return;
  on_first(ranks(), [this] { progress_.reset(); });  // the checkpoint is written
  throw Error("stopped; to go on: pila-finetune --resume " + folder_.path.string());
}

// A full disk must not end a training: there may be room again at the next epoch.
void FineTuning::go_on_without(const std::function<void()>& writing) const {
  try {
    writing();
  } catch (const FileError& error) {
    progress_->note("Warning: " + std::string(error.what()) + "; the training goes on");
  }
}

void FineTuning::record(const MetricRow& row, MetricsCsv& csv, EventWriter& events) const {
  csv.append(row);
  const std::string& name = fits_[fit_].name;
  for (const auto& [key, value] : row.values) {
    events.add_scalar(name.empty() ? key : name + "/" + key, row.epoch, static_cast<float>(value));
  }
}

void FineTuning::restore_predictions(const Checkpoint& checkpoint) {
  const std::int64_t images = checkpoint.integer("held out");
  if (images == 0) return;
  held_out_.classes = data_.classes;
  held_out_.labels = get_values<std::int32_t>(ctx_, checkpoint, "held out labels");
  held_out_.logits = get_values<float>(ctx_, checkpoint, "held out logits");
  held_out_.features = get_values<float>(ctx_, checkpoint, "held out features");
  held_out_.familiarity = get_values<double>(ctx_, checkpoint, "held out familiarity");
  for (std::size_t f = 0; f < fit_; ++f) {
    for (const std::size_t image : fits_[f].held_out) {
      held_out_.files.push_back(data_.cache->files()[image].string());
    }
  }
  held_out_.check();
}

void FineTuning::save() const {
  Checkpoint checkpoint;
  checkpoint.put_text("options", format_options(options_));
  checkpoint.put_text("data", data_.fingerprint);
  checkpoint.put_integer("fit", static_cast<std::int64_t>(fit_));
  put_predictions(ctx_, checkpoint, held_out_);
  trainer_->save(checkpoint);
  save_checkpoint(folder_.checkpoint(), checkpoint);
}

// How what is reported was measured.
std::string FineTuning::remark() const {
  if (!division_.test.empty()) return "Measured with the model itself on photographs that it has not seen.";
  const std::size_t rounds = division_.rounds.size();
  std::string text = "Measured on photographs that were held out";
  if (rounds > 1) text += fmt::format(", in {} rounds, each with a model trained on the others", rounds);
  text += ".";
  if (!fits_.back().held_out.empty()) return text;
  return text +
         " The model file's own weights were then trained on all of them, by the same recipe: new "
         "photographs "
         "alone can measure them.";
}

Evaluation FineTuning::finish() {
  const Predictions reported = division_.test.empty() ? held_out_ : predict(division_.test);
  Confidence confidence;
  if (held_out_.images() > 0) {
    confidence = fit_confidence(held_out_, kScore, fit_feature_statistics(predict(fits_.back().train)));
  }
  Evaluation evaluation;
  on_first(ranks(), [&] { evaluation = write_results(reported, confidence); });
  return evaluation;
}

Evaluation FineTuning::write_results(const Predictions& reported, const Confidence& confidence) const {
  ModelDescription description;
  description.preprocessing = start_.preprocessing();
  description.classes = data_.classes;
  description.recipe = format_options(options_);
  description.data_hash = data_.fingerprint;
  describe_confidence(confidence, description);
  save_model(ctx_, *model_, description, folder_.model());

  if (const auto rows = read_metrics_csv(folder_.metrics(fits_[0].name)); !rows.empty()) {
    write_curves(folder_.path / "curves.png", rows);
  }
  if (reported.images() == 0) {
    voice_of(ranks())("Nothing was held out, so nothing could be measured: see --validation");
    return {};
  }
  Evaluation evaluation = evaluate(reported, confidence);
  evaluation.remark = remark();
  write_report(folder_.path, evaluation, reported);
  write_grad_cams(folder_.path / "gradcam", ctx_, *model_, start_.preprocessing(), reported,
                  options_.gradcam);
  return evaluation;
}

Evaluation continue_run(const Context& ctx, const FineTuneOptions& options, const RunFolder& folder,
                        const StartModel& start, const DataSet& data, const Checkpoint& checkpoint) {
  FineTuning run(ctx, options, folder, start, data);
  run.restore(checkpoint);
  return run.run();
}

// A repeat that was begun goes on where it was.
Evaluation run_or_continue(const Context& ctx, const FineTuneOptions& options, const fs::path& path,
                           const StartModel& start, const DataSet& data) {
  std::error_code ignored;
  if (!ctx.ranks().first_ones(fs::exists(RunFolder{path}.checkpoint(), ignored))) {
    FineTuning run(ctx, options, create_folder(path, ctx.ranks()), start, data);
    run.begin();
    return run.run();
  }
  const RunFolder folder = open_folder(path, ctx.ranks());
  const Checkpoint checkpoint = load_checkpoint(folder.checkpoint());
  if (checkpoint.text("options") != format_options(options)) {
    throw FileError(path.string() + ": was begun with other options; name another --out");
  }
  return continue_run(ctx, options, folder, start, data, checkpoint);
}

}  // namespace

Evaluation fine_tune(const FineTuneOptions& options, const fs::path& out, Communicator& ranks) {
  check(options);
  const Context ctx = open_context(options, ranks);
  const RunFolder folder = create_folder(out, ranks);
  const StartModel start = load_start_model(ctx, options);
  const auto folders = open_data_folders(options, out, ranks);
  const DataSet data = read_images(options, *folders, start.size(), ranks);
  FineTuning run(ctx, options, folder, start, data);
  folders->keep();
  run.begin();
  return run.run();
}

Evaluation resume_fine_tuning(const fs::path& path, const FineTuneOptions& machine, Communicator& ranks) {
  const RunFolder folder = open_folder(path, ranks);
  const Checkpoint checkpoint = load_checkpoint(folder.checkpoint());
  FineTuneOptions options = parse_options(checkpoint.text("options"));
  options.device = machine.device;
  options.threads = machine.threads;
  options.recompute = machine.recompute;
  options.cache_bytes = machine.cache_bytes;
  const Context ctx = open_context(options, ranks);
  const StartModel start = load_start_model(ctx, options);
  const auto folders = open_data_folders(options, path, ranks);
  const DataSet data = read_images(options, *folders, start.size(), ranks);
  folders->keep();
  return continue_run(ctx, options, folder, start, data, checkpoint);
}

RepeatSummary repeat_fine_tuning(const FineTuneOptions& options, const fs::path& out, int repeats,
                                 Communicator& ranks) {
  check(options);
  const Context ctx = open_context(options, ranks);
  const StartModel start = load_start_model(ctx, options);
  const auto folders = open_data_folders(options, out, ranks);
  const DataSet data = read_images(options, *folders, start.size(), ranks);
  folders->keep();
  const NoteHook say = voice_of(ranks);
  RepeatSummary summary;
  for (int r = 0; r < repeats; ++r) {
    FineTuneOptions repeat = options;
    repeat.seed = options.seed + static_cast<std::uint64_t>(r);
    repeat.folds = options.folds.value_or(1);
    repeat.refit = options.refit.value_or(false);
    const fs::path path = out / fmt::format("repeat-{:02}", r + 1);
    say(fmt::format("Repeat {} of {}, seed {}", r + 1, repeats, repeat.seed));
    const Evaluation evaluation = run_or_continue(ctx, repeat, path, start, data);
    say(fmt::format("Repeat {}: accuracy {:.2f}%", r + 1, 100 * evaluation.accuracy));
    summary.add(repeat.seed, evaluation);
    on_first(ranks, [&] { summary.write(out / "repeats.csv"); });
  }
  return summary;
}

}  // namespace pila
