#include "apps/training/recipe.h"

#include <cmath>
#include <filesystem>

#include "apps/core/augmentation_file.h"
#include "apps/core/text_file.h"
#include "engine/core/error.h"

namespace pila {
namespace {

[[noreturn]] void refuse(const std::string& what, const std::string& expected, const std::string& got) {
  throw UsageError("[recipe] expected " + what + " " + expected + ", got " + got);
}

void check_range(const std::string& what, double value, double low, double high) {
  if (value >= low && value <= high) return;  // false for NaN
  refuse(what, "from " + std::to_string(low) + " to " + std::to_string(high), std::to_string(value));
}

// The head alone on the network's own features first, so that its random weights do no harm; then everything,
// gently and with frozen statistics. What is kept is the average over the last steps, and a quarter of the
// features it began with. bench/accuracy/README.md says what each part brings.
Recipe best() {
  Recipe recipe;
  recipe.name = "best";
  Stage head, all;
  head.epochs = 10;
  head.rate = 3e-3;
  head.schedule = ScheduleKind::cosine;
  head.trainable_last = 0;
  all.epochs = 40;
  all.rate = 5e-4;
  all.schedule = ScheduleKind::cosine;
  all.warmup = 3;
  all.blend = 0.75;
  recipe.stages = {head, all};
  recipe.average = 0.998;
  recipe.decay_kernels_only = true;
  recipe.augmentation = augmentation_preset("best");
  return recipe;
}

// Blum, Wieczorek and Stelldinger, "Proof of concept for a new battery sorting method based on deep learning
// image classification": the whole network for 40 epochs, the epoch of the highest validation accuracy.
Recipe battery_mobilenetv2() {
  Recipe recipe;
  recipe.name = "battery-mobilenetv2";
  Stage stage;
  stage.epochs = 40;
  stage.rate = 1e-4;
  recipe.stages = {stage};
  recipe.norm = NormMode::batch;
  recipe.monitor = Monitor::accuracy;
  recipe.pixels = PixelRange::zero_to_one;
  recipe.augmentation = augmentation_preset("battery");
  return recipe;
}

// "BatSort": a fast search in the last layers, then a slow one that goes two layers deeper.
Recipe batsort() {
  Recipe recipe;
  recipe.name = "batsort";
  Stage search, refine;
  search.epochs = 300;
  search.rate = 5e-3;
  search.trainable_last = 2;
  refine.epochs = 100;
  refine.rate = 5e-5;
  refine.trainable_last = 4;
  refine.patience = 10;
  recipe.stages = {search, refine};
  recipe.weight_decay = 0;
  recipe.norm = NormMode::batch;
  recipe.monitor = Monitor::accuracy;
  return recipe;
}

// The e-waste classifier: all but the first 100 layers, stopped when the validation loss stands still.
Recipe ewaste() {
  Recipe recipe;
  recipe.name = "ewaste";
  Stage stage;
  stage.epochs = 15;
  stage.rate = 1e-4;
  stage.freeze = 100;
  stage.patience = 3;
  recipe.stages = {stage};
  recipe.batch = 100;
  recipe.weight_decay = 0;
  recipe.norm = NormMode::batch;
  recipe.monitor = Monitor::loss;
  recipe.augmentation = augmentation_preset("ewaste");
  return recipe;
}

// From random weights. Nothing of the frozen statistics is known then, and every picture is seen from all
// sides and in other colours, as there are too few for so much to learn.
Recipe scratch() {
  Recipe recipe;
  recipe.name = "scratch";
  Stage stage;
  stage.epochs = 80;
  stage.rate = 5e-3;
  stage.schedule = ScheduleKind::cosine;
  stage.warmup = 2;
  recipe.stages = {stage};
  recipe.batch = 16;
  recipe.average = 0.98;
  recipe.norm = NormMode::batch_recalibrate;
  Augmentation& augmentation = recipe.augmentation;
  augmentation.flip_horizontal = augmentation.flip_vertical = true;
  augmentation.rotation = 0.5;
  augmentation.hue = 0.3;
  augmentation.contrast = 0.2;
  augmentation.brightness = 0.1;
  return recipe;
}

struct Named {
  std::string_view name;
  Recipe (*make)();
};
constexpr Named kRecipes[] = {
    {"best", best},       {"battery-mobilenetv2", battery_mobilenetv2},
    {"batsort", batsort}, {"ewaste", ewaste},
    {"scratch", scratch},
};

void check(const Stage& stage) {
  constexpr int kMaxEpochs = 100'000;
  check_range("epochs", stage.epochs, 1, kMaxEpochs);
  check_range("a learning rate", stage.rate, 0, 10);
  check_range("warmup epochs", stage.warmup, 0, stage.epochs);
  check_range("a final fraction", stage.final_fraction, 0, 1);
  check_range("a layer decay", stage.layer_decay, 1e-3, 1);
  check_range("a patience", stage.patience, 0, kMaxEpochs);
  check_range("a blend", stage.blend, 0, 1);
  if (stage.freeze && stage.trainable_last) refuse("either", "freeze or trainable-last", "both");
  if (stage.freeze) check_range("layers to freeze", *stage.freeze, 0, 1e6);
  if (stage.trainable_last) check_range("trainable layers", *stage.trainable_last, 0, 1e6);
}

}  // namespace

std::vector<std::string> recipe_names() {
  std::vector<std::string> names;
  for (const Named& recipe : kRecipes) names.emplace_back(recipe.name);
  return names;
}

Recipe named_recipe(std::string_view name) {
  std::string known;
  for (const Named& recipe : kRecipes) {
    if (recipe.name == name) return recipe.make();
    known += (known.empty() ? "" : ", ") + std::string(recipe.name);
  }
  throw UsageError("no recipe is called '" + std::string(name) + "'; there are " + known);
}

Recipe load_recipe(const std::string& name_or_file) {
  for (const std::string& name : recipe_names()) {
    if (name == name_or_file) return named_recipe(name);
  }
  if (!std::filesystem::exists(name_or_file)) return named_recipe(name_or_file);  // says which there are
  constexpr std::uintmax_t kMaxBytes = 1 << 20;
  const std::string text = read_text_file(name_or_file, kMaxBytes);
  try {
    return parse_recipe(text);
  } catch (const Error& error) {
    throw FileError(name_or_file + ": " + error.what());
  }
}

void check(const Recipe& recipe) {
  if (recipe.stages.empty()) refuse("a recipe with", "a stage", "none");
  for (const Stage& stage : recipe.stages) {
    check(stage);
    if (stage.patience > 0 && recipe.monitor == Monitor::none) {
      refuse("with patience", "a monitored value (loss or accuracy)", "none");
    }
  }
  check_range("a batch", recipe.batch, 1, 4096);
  check_range("a dropout rate", recipe.dropout, 0, 0.95);
  check_range("weight decay", recipe.weight_decay, 0, 10);
  check_range("a clipping norm", recipe.clip_norm, 0, 1e9);
  check_range("an averaging momentum", recipe.average, 0, 0.999999);
  check_range("label smoothing", recipe.label_smoothing, 0, 0.9);
  if (const std::string problem = problem_of(recipe.augmentation); !problem.empty()) {
    throw UsageError("[augmentation] " + problem);
  }
}

}  // namespace pila
