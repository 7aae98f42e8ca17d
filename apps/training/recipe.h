// How a model is trained: everything that a run needs to know beside the data and the network.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/optim/schedule.h"
#include "layers/augmentation.h"

namespace pila {

// Which epoch of a stage gives its weights.
enum class Monitor {
  none,      // the last one
  loss,      // the lowest loss on validation
  accuracy,  // the highest accuracy on validation
};

// Which statistics batch normalisation goes by while it trains.
enum class NormMode {
  frozen,       // the moving ones, which stay
  batch,        // the batch's, as Keras
  recalibrate,  // the moving ones, measured anew at the end with the trained weights
  // The batch's; before every look at validation, and at the end, the moving ones are measured anew. For
  // random weights: a short training ends before Keras' moving statistics have come near the true ones.
  batch_recalibrate,
};

// What pixels become before the network: -1..1 as MobileNetV2 was trained, or 0..1.
enum class PixelRange { minus_one_to_one, zero_to_one };

// One part of a training, with an optimizer of its own.
struct Stage {
  int epochs = 1;
  double rate = 1e-3;
  ScheduleKind schedule = ScheduleKind::constant;
  double warmup = 0;          // epochs of linear warm-up before the schedule
  double final_fraction = 0;  // of the rate, at the end of a cosine
  // What learns: all but the first `freeze` layers (Keras' count), or the head and the last `trainable_last`
  // backbone layers that hold weights (BatSort's count); with neither, everything.
  std::optional<int> freeze, trainable_last;
  double layer_decay = 1;  // of the rate, block by block from the head down
  int patience = 0;        // epochs without improvement of the monitored value; 0: no early end
  // Of what learns, the share of the trained weights in the stage's result; the rest are those that it began
  // with, whose features are more general (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR
  // 2022).
  double blend = 1;
  bool operator==(const Stage&) const = default;
};

struct Recipe {
  std::string name;
  std::vector<Stage> stages;
  int batch = 32;
  double dropout = 0.2;  // before the last layer
  double weight_decay = 0.01;
  bool decay_kernels_only = false;  // not batch normalisation and biases
  double clip_norm = 0;             // of the whole gradient; 0: no limit
  double average = 0;               // momentum of the weights' exponential average; 0: none
  double label_smoothing = 0;
  bool balanced = false;  // classes weigh the same, however many images they have
  NormMode norm = NormMode::frozen;
  Monitor monitor = Monitor::none;
  PixelRange pixels = PixelRange::minus_one_to_one;
  Augmentation augmentation;
  bool operator==(const Recipe&) const = default;
};

// "best", "battery-mobilenetv2", "batsort", "ewaste", "scratch".
std::vector<std::string> recipe_names();
// Throws UsageError for another name, listing those there are.
Recipe named_recipe(std::string_view name);

// Sets one value by its name, as the command line gives it. Keys of a stage: epochs, lr, schedule (constant
// or cosine), warmup, final, freeze, trainable-last, layer-decay, patience, blend. Keys of a recipe: name,
// batch, dropout, weight-decay, decay-kernels-only, clip-norm, average, label-smoothing, balanced, bn
// (frozen, batch, recalibrate or batch-recalibrate), monitor (none, loss or accuracy), pixels (-1..1 or
// 0..1). Throws UsageError for another key or value.
void set(Stage& stage, std::string_view key, std::string_view text);
void set(Recipe& recipe, std::string_view key, std::string_view text);

// "epochs=300,lr=0.005,trainable-last=2". Throws UsageError.
Stage parse_stage(std::string_view text);

// JSON on one line, and back: the keys above, "stages" and "augmentation". What is left out stays as a Recipe
// begins. Throws FileError, without a file's name, for anything else.
std::string format_recipe(const Recipe& recipe);
Recipe parse_recipe(std::string_view text);

// A named recipe, else the JSON file of that name. Throws UsageError where there is neither, FileError for a
// file that cannot be used.
Recipe load_recipe(const std::string& name_or_file);

// Throws UsageError for values that no training can be made of.
void check(const Recipe& recipe);

}  // namespace pila
