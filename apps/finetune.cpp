// pila-finetune: teaches a pretrained network the classes of a folder of photographs.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>

#include "apps/core/augmentation_file.h"
#include "apps/core/command.h"
#include "apps/core/device.h"
#include "apps/core/precision.h"
#include "apps/report/report_files.h"
#include "apps/training/end_together.h"
#include "apps/training/fine_tune.h"
#include "apps/training/run_start.h"
#include "engine/core/error.h"
#include "engine/parallel/launch.h"

namespace pila {
namespace {

// An option that sets one value of a recipe, or of its stages.
struct Change {
  const char* key;  // the option is "--key"
  const char* values;
  const char* help;
};
constexpr Change kRecipeChanges[] = {
    {"bn", "frozen|batch|recalibrate|batch-recalibrate", "statistics that batch normalisation trains with"},
    {"monitor", "none|loss|accuracy", "validation value whose best epoch is kept"},
    {"batch", "N", "photographs in a step"},
    {"dropout", "RATE", "before the last layer"},
    {"weight-decay", "DECAY", "of Adam, decoupled"},
    {"clip-norm", "NORM", "limit of the gradient's norm, 0 for none"},
    {"average", "MOMENTUM", "of the weights' moving average, 0 for none"},
    {"label-smoothing", "SHARE", "spread over all classes"},
    {"balanced", "true|false", "let all classes weigh the same"},
    {"pixels", "-1..1|0..1", "what pixels become"},
};
constexpr Change kStageChanges[] = {
    {"freeze", "K", "freeze the first K layers, as Keras counts them"},
    {"trainable-last", "K", "train the head and the last K backbone layers that hold weights"},
    {"epochs", "N", "of each stage that trains the backbone; so with lr, layer-decay, patience and blend"},
    {"lr", "RATE", "learning rate"},
    {"layer-decay", "FACTOR", "of the rate, from block to block, downwards"},
    {"patience", "N", "epochs without a better one before a stage ends"},
    {"blend", "SHARE", "of the trained weights in the result, the rest being those before the stage"},
};

struct RecipeChanges {
  std::string recipe = "best", augment;
  std::vector<std::string> stages;
  std::map<std::string, std::string> of_recipe, of_stages;  // by key; empty: not changed
};

// Stages of the head alone stay as they are.
bool trains_backbone(const Stage& stage) { return stage.trainable_last != 0; }

Recipe recipe_from(const RecipeChanges& changes) {
  Recipe recipe = load_recipe(changes.recipe);
  if (!changes.stages.empty()) recipe.stages.clear();
  for (const std::string& stage : changes.stages) recipe.stages.push_back(parse_stage(stage));
  for (Stage& stage : recipe.stages) {
    if (!trains_backbone(stage)) continue;
    const int epochs = stage.epochs;
    for (const auto& [key, text] : changes.of_stages) {
      if (text.empty()) continue;
      if (key == "freeze") stage.trainable_last.reset();
      if (key == "trainable-last") stage.freeze.reset();
      set(stage, key, text);
    }
    stage.warmup *= static_cast<double>(stage.epochs) / epochs;  // a short training warms up for less
  }
  for (const auto& [key, text] : changes.of_recipe) {
    if (!text.empty()) set(recipe, key, text);
  }
  if (!changes.augment.empty()) recipe.augmentation = load_augmentation(changes.augment);
  return recipe;
}

struct Arguments {
  FineTuneOptions options;
  RecipeChanges changes;
  std::filesystem::path out, resume;
  int repeat = 1;
  std::size_t cache_mb = 1024;
  bool refit = false, no_refit = false, fetch = false;
};

void add_data_options(CLI::App& app, Arguments& arguments) {
  FineTuneOptions& options = arguments.options;
  app.add_option(
         "--data", options.data,
         "DIR/<class>/*, DIR/{train,val,test}/<class>/*, or a store of pila-live, of which the pictures "
         "count that people have labelled; may be given several times")
      ->take_all()
      ->expected(1)
      ->type_name("DIR|STORE");
  app.add_option("--store-verdicts", options.store_verdicts,
                 "learn from a store's pictures that nobody has labelled, too, where the verdict was not "
                 "doubtful and at least as probable")
      ->type_name("PROBABILITY");
  app.add_option("--exclude", options.exclude, "leave this class out")->type_name("CLASS");
  app.add_option("--validation", options.validation, "share held out, where the folder is not divided")
      ->capture_default_str()
      ->type_name("SHARE");
  app.add_option("--test", options.test, "share held out of everything, beside the validation")
      ->capture_default_str()
      ->type_name("SHARE");
  app.add_option(
         "--folds", options.folds,
         "cross-validation, so that every photograph is measured once; 1 for a single split (default: 5 "
         "where a single split would hold out fewer than 100 photographs)")
      ->check(CLI::Range(1, 100))
      ->type_name("K");
  app.add_option("--group-by", options.group_by,
                 "keep photographs together that share a sub-folder (folder), a video (video), or what the "
                 "brackets of a pattern find in the file name ('IMG_(\\d+)_')")
      ->type_name("folder|video|PATTERN");
  app.add_flag("--group-duplicates", options.group_duplicates,
               "keep near-duplicates on one side of the split");
  app.add_option("--cache-mb", arguments.cache_mb, "memory for decoded photographs")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str()
      ->type_name("MB");
}

void add_model_options(CLI::App& app, Arguments& arguments) {
  FineTuneOptions& options = arguments.options;
  app.add_option(
         "--weights", options.weights,
         "imagenet, none, or a Keras file: of a model of one's own, the head's known classes are kept")
      ->capture_default_str()
      ->type_name("imagenet|FILE|none");
  app.add_flag("--fetch", arguments.fetch,
               "print where the weights lie, fetching them where they are not here yet, and end");
  app.add_option("--width", options.width, "width of the network (default: the weight file's, else 1)")
      ->type_name("ALPHA");
  app.add_option("--size", options.size, "side of the square input (default: the model file's, else 224)")
      ->check(CLI::Range(32, 1024))
      ->type_name("PIXELS");
}

void add_run_options(CLI::App& app, Arguments& arguments) {
  FineTuneOptions& options = arguments.options;
  app.add_option("--out", arguments.out, "run folder: new or empty")->type_name("DIR");
  app.add_option("--resume", arguments.resume, "go on with the run in this folder, to the bit")
      ->type_name("DIR")
      ->excludes("--data", "--out");
  app.add_option("--repeat", arguments.repeat, "train on N random splits and report mean and deviation")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str()
      ->type_name("N");
  auto* refit = app.add_flag("--refit", arguments.refit,
                             "after the measurement, train the model on the held-out photographs too "
                             "(the default where the split was made here and the recipe watches nothing)");
  app.add_flag("--no-refit", arguments.no_refit, "keep the model that was measured")->excludes(refit);
  app.add_option("--seed", options.seed, "of all that is random")->capture_default_str()->type_name("N");
  app.add_option("--split-seed", options.split_from, "of the split alone (default: the seed)")
      ->type_name("N");
  app.add_option("--gradcam", options.gradcam, "photographs that are explained")
      ->check(CLI::Range(0, 10000))
      ->capture_default_str()
      ->type_name("N");
  app.add_flag("--recompute", options.recompute,
               "compute the network's blocks again on the way back, instead of keeping what is inside: less "
               "memory, more time, the same bits");
  add_device_option(app, options.device);
  add_training_precision_option(app, options.precision);
  app.add_option("--threads", options.threads, "0 for all cores, or this process's part of them")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str()
      ->type_name("N");
}

void add_recipe_options(CLI::App& app, RecipeChanges& changes) {
  app.add_option("--recipe", changes.recipe,
                 "best, battery-mobilenetv2, batsort, ewaste, scratch (for --weights none), or a JSON file; "
                 "what follows changes it")
      ->capture_default_str()
      ->type_name("NAME|FILE");
  app.add_option("--stage", changes.stages,
                 "a stage of its own instead of the recipe's, may be given several times: "
                 "epochs=300,lr=0.005,trainable-last=2; also schedule, warmup, final, freeze, layer-decay, "
                 "patience, blend")
      ->take_all()
      ->expected(1)
      ->type_name("KEY=VALUE,...");
  app.add_option("--augment", changes.augment, "none, battery, ewaste, best, or a JSON file")
      ->type_name("NAME|FILE");
  const auto add = [&](const Change& change, std::map<std::string, std::string>& to) {
    app.add_option("--" + std::string(change.key), to[change.key], change.help)->type_name(change.values);
  };
  for (const Change& change : kStageChanges) add(change, changes.of_stages);
  for (const Change& change : kRecipeChanges) add(change, changes.of_recipe);
  app.get_option("--trainable-last")->excludes(app.get_option("--freeze"));
}

int print_report(const Evaluation& evaluation, const std::filesystem::path& folder, Communicator& ranks) {
  if (!ranks.first()) return kDone;
  if (evaluation.images > 0) std::printf("%s\n", report_text(evaluation).c_str());
  std::printf("Model, report and pictures: %s\n", folder.c_str());
  return kDone;
}

int run(Arguments& arguments, Communicator& ranks) {
  FineTuneOptions& options = arguments.options;
  if (arguments.fetch) {
    if (options.weights == "none") throw UsageError("--fetch: there is nothing to fetch for --weights none");
    on_first(ranks, [&] { std::printf("%s\n", fetch_weights(options).c_str()); });
    return kDone;
  }
  options.cache_bytes = arguments.cache_mb << 20;
  if (options.threads == 0 && !ranks.alone()) options.threads = threads_for(ranks);
  if (!arguments.resume.empty()) {
    const Evaluation evaluation = resume_fine_tuning(arguments.resume, options, ranks);
    return print_report(evaluation, arguments.resume, ranks);
  }
  if (options.data.empty() || arguments.out.empty()) {
    throw UsageError("expected --data and --out, --resume, or --fetch; see --help");
  }
  for (auto& path : options.data) path = std::filesystem::absolute(path);
  options.recipe = recipe_from(arguments.changes);
  if (arguments.refit || arguments.no_refit) options.refit = arguments.refit;
  if (arguments.repeat > 1) {
    const RepeatSummary summary = repeat_fine_tuning(options, arguments.out, arguments.repeat, ranks);
    if (ranks.first()) std::printf("%s\n", summary.text().c_str());
    return kDone;
  }
  return print_report(fine_tune(options, arguments.out, ranks), arguments.out, ranks);
}

}  // namespace
}  // namespace pila

int main(int argc, char** argv) {
  CLI::App app("Teaches a network that was trained on ImageNet the classes of a folder of photographs.",
               "pila-finetune");
  pila::Arguments arguments;
  pila::add_data_options(app, arguments);
  pila::add_model_options(app, arguments);
  pila::add_recipe_options(app, arguments.changes);
  pila::add_run_options(app, arguments);
  app.footer(
      "The run folder gets model.h5, report.txt, report.json, pictures, and last.ckpt to go on from.\n"
      "Results go to standard output, all else to standard error.\n"
      "Started by mpirun or srun, its processes share each batch, with --device cuda on a GPU each\n"
      "(docs/parallel.md).\n"
      "Exit code: 0 done, 1 failed or stopped, 2 wrong usage.");
  const pila::Launched launched = pila::launched();
  std::unique_ptr<pila::Communicator> ranks;
  const auto work = [&] {
    ranks = pila::join(launched);
    return pila::end_together(*ranks, app.get_name(), [&] { return pila::run(arguments, *ranks); });
  };
  const int code = pila::run_command(app, argc, argv, work, /*silent=*/launched.rank > 0);
  if (!ranks && code != pila::kDone) pila::end_misused(launched, code);
  return code;
}
