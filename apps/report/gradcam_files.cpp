#include "apps/report/gradcam_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <system_error>
#include <vector>

#include "apps/media/canvas.h"
#include "apps/media/heat_map.h"
#include "apps/media/image_writer.h"
#include "apps/report/gradcam.h"
#include "apps/report/mistakes.h"
#include "engine/core/error.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

constexpr char kPrefix[] = "gradcam_";

// Right answers class by class in turn, in each class the most confident first.
std::vector<std::int64_t> right_answers(const Predictions& predictions) {
  std::map<std::int32_t, std::vector<std::pair<double, std::int64_t>>> by_class;
  for (std::int64_t i = 0; i < predictions.images(); ++i) {
    const auto logits = predictions.logits_of(i);
    const std::int32_t best = best_class(logits);
    if (best != predictions.labels[static_cast<std::size_t>(i)]) continue;
    by_class[best].emplace_back(-probabilities(logits)[static_cast<std::size_t>(best)], i);
  }
  std::vector<std::int64_t> images;
  for (auto& [label, entries] : by_class) std::sort(entries.begin(), entries.end());
  for (std::size_t turn = 0, added = 1; added > 0; ++turn) {
    added = 0;
    for (const auto& [label, entries] : by_class) {
      if (turn >= entries.size()) continue;
      images.push_back(entries[turn].second);
      ++added;
    }
  }
  return images;
}

std::vector<std::int64_t> choose_images(const Predictions& predictions, std::size_t count) {
  std::vector<std::int64_t> wrong;
  for (const Mistake& mistake : find_mistakes(predictions, 1)) wrong.push_back(mistake.image);
  const auto right = right_answers(predictions);
  const std::size_t rights = std::min(right.size(), count - std::min(wrong.size(), (count + 1) / 2));
  std::vector<std::int64_t> chosen(
      wrong.begin(), wrong.begin() + static_cast<std::ptrdiff_t>(std::min(wrong.size(), count - rights)));
  chosen.insert(chosen.end(), right.begin(), right.begin() + static_cast<std::ptrdiff_t>(rights));
  return chosen;
}

std::string for_file_name(std::string text) {
  for (char& c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    if (!plain) c = '_';
  }
  return text.substr(0, 60);
}

struct Panel {
  media::Image image;
  std::string caption;
};

media::Image side_by_side(const std::vector<Panel>& panels, const std::string& title) {
  constexpr double kPanel = 320, kGap = 12, kTop = 34, kBottom = 30;
  const auto count = static_cast<double>(panels.size());
  media::Canvas canvas(static_cast<int>(count * (kPanel + kGap) + kGap),
                       static_cast<int>(kTop + kPanel + kBottom));
  const media::TextStyle bold{.size = 10, .bold = true}, plain{.size = 9};
  canvas.text(media::shortened(title, count * kPanel, bold), {kGap, kTop / 2}, bold);
  double left = kGap;
  for (const Panel& panel : panels) {
    canvas.picture(panel.image, {left, kTop, kPanel, kPanel});
    canvas.text(media::shortened(panel.caption, kPanel, plain), {left, kTop + kPanel + kBottom / 2}, plain);
    left += kPanel + kGap;
  }
  return canvas.finish();
}

// A photograph small enough that drawing on it is quick.
media::Image at_most(const media::Image& image, double size) {
  const double scale = size / static_cast<double>(std::max(image.width, image.height));
  if (scale >= 1) return image;
  const auto scaled = [&](std::int64_t length) {
    return std::max(1, static_cast<int>(static_cast<double>(length) * scale));
  };
  media::Canvas canvas(scaled(image.width), scaled(image.height));
  canvas.picture(image,
                 {0, 0, static_cast<double>(scaled(image.width)), static_cast<double>(scaled(image.height))});
  return canvas.finish();
}

class Explainer {
 public:
  Explainer(const Context& ctx, const Model& model, const Preprocessing& preprocessing,
            const Predictions& predictions, double temperature)
      : ctx_(ctx),
        model_(model),
        preprocessing_(preprocessing),
        predictions_(predictions),
        temperature_(temperature) {}

  // The picture, and a name for its file without an ending.
  std::pair<media::Image, std::string> explain(std::int64_t index, const media::Image& photograph) const {
    const auto at = static_cast<std::size_t>(index);
    const auto logits = predictions_.logits_of(index);
    const std::int32_t label = predictions_.labels[at], best = best_class(logits);
    const auto shares = probabilities(logits, temperature_);
    const Tensor pixels = Tensor::from(ctx_, {1, photograph.height, photograph.width, 3}, photograph.pixels);
    const Tensor input = preprocess(ctx_, pixels, preprocessing_, model_.spec().type);
    const media::Image shown = at_most(photograph, 640);
    const auto panel = [&](std::int32_t k) {
      const HeatMap map = has_pooled_class_map(model_) ? pooled_class_map(ctx_, model_, input, {&k, 1})[0]
                                                       : grad_cam(ctx_, model_, input, {&k, 1})[0];
      return Panel{
          media::with_heat_map(shown, map.values, map.height, map.width),
          fmt::format("speaks for {} ({:.1f}%)", name(k), shares[static_cast<std::size_t>(k)] * 100)};
    };
    std::vector<Panel> panels = {{shown, fs::path(predictions_.files[at]).filename().string()}, panel(best)};
    const bool right = label == best;
    if (!right && label != kUnknownLabel) panels.push_back(panel(label));
    const std::string is = label == kUnknownLabel ? "unknown" : name(label);
    const std::string title =
        right ? fmt::format("{}, recognised with {:.1f}%", is, shares[static_cast<std::size_t>(best)] * 100)
              : fmt::format("{}, taken for {} with {:.1f}%", is, name(best),
                            shares[static_cast<std::size_t>(best)] * 100);
    return {side_by_side(panels, title),
            right ? "right_" + for_file_name(is)
                  : "wrong_" + for_file_name(is) + "_as_" + for_file_name(name(best))};
  }

 private:
  const std::string& name(std::int32_t k) const { return predictions_.classes[static_cast<std::size_t>(k)]; }

  const Context& ctx_;
  const Model& model_;
  const Preprocessing& preprocessing_;
  const Predictions& predictions_;
  double temperature_;
};

void make_empty(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw FileError(folder.string() + ": " + error.message());
  std::vector<fs::path> earlier;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind(kPrefix, 0) == 0 && entry.path().extension() == ".png") earlier.push_back(entry.path());
  }
  for (const fs::path& file : earlier) fs::remove(file, error);
}

}  // namespace

void write_grad_cams(const fs::path& folder, const Context& ctx, const Model& model,
                     const Preprocessing& preprocessing, const Predictions& predictions, int count,
                     double temperature) {
  if (count <= 0 || predictions.images() == 0) return;
  make_empty(folder);
  const Explainer explainer(ctx, model, preprocessing, predictions, temperature);
  int number = 0;
  for (const std::int64_t index : choose_images(predictions, static_cast<std::size_t>(count))) {
    media::Image photograph;
    try {
      photograph = media::load_image(predictions.files[static_cast<std::size_t>(index)]);
    } catch (const FileError&) {
      continue;
    }
    const auto [image, name] = explainer.explain(index, photograph);
    media::save_png(image, folder / fmt::format("{}{:03}_{}.png", kPrefix, ++number, name));
  }
}

}  // namespace pila
