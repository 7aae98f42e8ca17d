#include "apps/training/start_model.h"

#include <fmt/format.h>

#include "engine/core/error.h"
#include "weights/known_files.h"
#include "weights/load_weights.h"
#include "weights/transfer.h"

namespace pila {
namespace {

constexpr std::int64_t kDefaultSize = 224;

std::vector<HeadLayerSpec> head_for(std::int64_t classes, double dropout) {
  std::vector<HeadLayerSpec> head = imagenet_head(classes);
  HeadLayerSpec drop;
  drop.type = "Dropout";
  drop.name = "dropout";
  drop.rate = dropout;
  head.insert(head.end() - 1, drop);
  return head;
}

ModelSpec asked_for(const FineTuneOptions& options) {
  ModelSpec spec;
  spec.network = options.network;
  spec.width = options.width.value_or(1.0);
  spec.input_height = spec.input_width = options.size.value_or(kDefaultSize);
  return spec;
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

std::filesystem::path start_weights(const FineTuneOptions& options, const DownloadHook& progress) {
  return resolve_weights(options.weights, asked_for(options), {.download = true, .progress = progress});
}

StartModel::StartModel(const Context& ctx, const FineTuneOptions& options, const DownloadHook& progress)
    : ctx_(ctx), weights_(options.weights), spec_(asked_for(options)), dropout_(options.recipe.dropout) {
  if (weights_ != "none") {
    weights_ = start_weights(options, progress).string();
    source_ = load_model(ctx, weights_);
    const ModelSpec& found = source_->model->spec();
    if (options.width && *options.width != found.width) {
      throw FileError(fmt::format("{}: weights of width {} are expected, and these are of width {}", weights_,
                                  *options.width, found.width));
    }
    spec_.network = found.network;
    spec_.width = found.width;
    if (!options.size && !source_->classes.empty()) {
      spec_.input_height = found.input_height;
      spec_.input_width = found.input_width;
    }
    if (spec_.input_height != spec_.input_width) {
      throw FileError(
          fmt::format("{}: a model with a square input is expected, and it takes {} x {}; --size "
                      "sets another",
                      weights_, found.input_width, found.input_height));
    }
  }
  preprocessing_ = default_preprocessing(spec_);
  if (options.recipe.pixels == PixelRange::zero_to_one) {
    preprocessing_.scale.fill(1 / 255.0f);
    preprocessing_.offset.fill(0);
  }
  if (source_ && !source_->classes.empty()) {  // one's own model goes on as it was begun
    preprocessing_.scale = source_->preprocessing.scale;
    preprocessing_.offset = source_->preprocessing.offset;
  }
}

std::string StartModel::describe() const {
  return fmt::format("{}, width {}, {} x {} pixels, {}", spec_.network, spec_.width, spec_.input_width,
                     spec_.input_height, source_ ? "weights of " + weights_ : "random weights");
}

std::unique_ptr<Model> StartModel::make(const std::vector<std::string>& classes, std::uint64_t seed,
                                        const NoteHook& note) const {
  ModelSpec spec = spec_;
  spec.head = head_for(static_cast<std::int64_t>(classes.size()), dropout_);
  auto model = std::make_unique<Model>(ctx_, spec, seed);
  if (!source_) return model;
  const TransferReport report = transfer_weights(ctx_, *model, classes, *source_, weights_);
  if (source_->classes.empty()) return model;
  if (!report.kept.empty()) note("The model knows already: " + listed(report.kept));
  if (!report.added.empty()) note("New to the model: " + listed(report.added));
  if (!report.dropped.empty()) note("No longer in the model: " + listed(report.dropped));
  if (!report.remark.empty()) note(report.remark);
  return model;
}

}  // namespace pila
