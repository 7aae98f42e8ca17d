// What a fine-tuning run is asked to do.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/training/recipe.h"
#include "engine/core/dtype.h"

namespace pila {

struct FineTuneOptions {
  std::vector<std::filesystem::path> data;  // folders of photographs, stores of items
  // Of a store's items that nobody has looked at, those are learned from, too, whose verdict was not doubtful
  // and at least as probable; none: none.
  std::optional<double> store_verdicts;
  std::vector<std::string> exclude;
  double validation = 0.2, test = 0;  // shares, where the folder has no parts of its own
  // Rounds of cross-validation, 1 for one validation part. By default 5 where the split is made here, the
  // recipe watches nothing, and one part would be too small to measure by.
  std::optional<int> folds;
  std::string group_by;  // "", "folder", "video", or a pattern for file names
  bool group_duplicates = false;
  std::optional<bool> refit;  // train on all images in the end; by default where the split was made here

  std::string network = "mobilenet_v2";
  std::string weights = "imagenet";  // or a file, or "none"
  std::optional<double> width;       // by default the weight file's, else 1
  std::optional<std::int64_t> size;  // of the square input; by default the model file's, else 224
  Recipe recipe;
  Precision precision = Precision::f32;  // of training; see GradientStepOptions

  std::uint64_t seed = 0;
  std::string device = "cpu";  // see open_device()
  int threads = 0;             // 0: all cores
  bool recompute = false;      // blocks on the way back, instead of keeping what they computed
  std::size_t cache_bytes = std::size_t{1} << 30;
  int gradcam = 12;  // pictures explained
  std::uint64_t split_seed() const { return split_from.value_or(seed); }
  std::optional<std::uint64_t> split_from;  // a seed of the split's own
};

// Throws UsageError for values that no run can be made of.
void check(const FineTuneOptions& options);

// As a checkpoint keeps them: JSON, and back. parse_options() throws FileError for anything else.
std::string format_options(const FineTuneOptions& options);
FineTuneOptions parse_options(std::string_view text);

}  // namespace pila
