// The model that a fine-tuning starts from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/training/data_set.h"
#include "apps/training/options.h"
#include "weights/load_model.h"

namespace pila {

using DownloadHook = std::function<bool(std::uint64_t arrived, std::uint64_t total)>;

// The file of the weights that a fine-tuning starts from, fetched where it is not here. Throws FileError when
// it is not to be had, `progress` is told of a download and ends it by false.
std::filesystem::path start_weights(const FineTuneOptions& options, const DownloadHook& progress);

// Where the weights come from, looked at once: its making may download, and every model of a run starts from
// the same.
class StartModel {
 public:
  // Throws FileError for weights that are not to be had, or of another width than asked for.
  StartModel(const Context& ctx, const FineTuneOptions& options, const DownloadHook& progress);

  std::int64_t size() const { return preprocessing_.height; }
  const Preprocessing& preprocessing() const { return preprocessing_; }
  std::string describe() const;  // for people, in one line

  // A model for these classes: the backbone's weights, and a new head, or what a model of one's own already
  // knows of these classes; `note` is told which. The seed is for what starts at random.
  std::unique_ptr<Model> make(const std::vector<std::string>& classes, std::uint64_t seed,
                              const NoteHook& note) const;

 private:
  Context ctx_;
  std::string weights_;
  ModelSpec spec_;
  Preprocessing preprocessing_;
  double dropout_;
  std::optional<LoadedModel> source_;  // none for random weights
};

}  // namespace pila
