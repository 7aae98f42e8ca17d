#include "apps/synth/belt_truth.h"

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "weights/atomic_file.h"

namespace pila::synth {
namespace {

using Json = nlohmann::ordered_json;

// A microsecond or a thousandth of a pixel is exact enough to read.
double short_seconds(double seconds) { return std::round(seconds * 1e6) / 1e6; }
double short_pixels(double pixels) { return std::round(pixels * 1e3) / 1e3; }

Json item_json(const TruthHeader& header, const BeltPlan& plan, std::size_t i, int entered, int left) {
  const BeltItem& item = plan.items()[i];
  return {{"item", i + 1},
          {"class", header.classes[static_cast<std::size_t>(item.series)]},
          {"specimen", specimen_name(item.specimen)},
          {"entered_frame", entered},
          {"left_frame", left},
          {"entered_s", short_seconds(plan.seconds(entered))},
          {"left_s", short_seconds(plan.seconds(left))},
          {"passed_s", short_seconds(item.passed_s)}};
}

}  // namespace

std::string specimen_name(int specimen) {
  char text[32];
  std::snprintf(text, sizeof text, "specimen-%02d", specimen + 1);
  return text;
}

void write_truth(const std::filesystem::path& file, const TruthHeader& header, const BeltPlan& plan) {
  const BeltCamera& camera = plan.camera();
  const std::vector<BeltItem>& items = plan.items();
  std::vector<int> entered(items.size(), -1), left(items.size(), -1);
  Json frames = Json::array();
  std::size_t first = 0;  // items before it have left
  for (int frame = 0; frame < plan.frames(); ++frame) {
    const double seconds = plan.seconds(frame);
    Json seen = Json::array();
    for (std::size_t i = first; i < items.size(); ++i) {
      if (!plan.near(items[i], seconds)) {
        if (items[i].passed_s > seconds) break;
        if (i == first) ++first;
        continue;
      }
      const Sight sight = plan.sight(items[i], seconds);
      if (sight.in_view <= 0) continue;
      if (entered[i] < 0) entered[i] = frame;
      left[i] = frame;
      seen.push_back({{"item", i + 1},
                      {"x", short_pixels(sight.x)},
                      {"y", short_pixels(sight.y)},
                      {"in_view", short_pixels(sight.in_view)}});
    }
    frames.push_back({{"index", frame}, {"seconds", short_seconds(seconds)}, {"items", std::move(seen)}});
  }
  Json list = Json::array();
  for (std::size_t i = 0; i < items.size(); ++i)
    list.push_back(item_json(header, plan, i, entered[i], left[i]));

  const Json head = {{"video", header.video},
                     {"level", header.level},
                     {"seed", header.seed},
                     {"width", camera.width},
                     {"height", camera.height},
                     {"fps", header.fps},
                     {"mm_per_px", camera.mm_per_pixel()},
                     {"belt_mm_per_s", camera.belt_mm_per_s},
                     {"direction", "right"},
                     {"classes", header.classes}};
  // A line for each item and frame.
  std::string text = head.dump(1);
  text.resize(text.rfind('\n'));
  for (const auto& [name, rows] : {std::pair{"items", &list}, std::pair{"frames", &frames}}) {
    text += std::string(",\n \"") + name + "\": [";
    const char* separator = "\n  ";
    for (const Json& row : *rows) {
      text += separator + row.dump();
      separator = ",\n  ";
    }
    text += "\n ]";
  }
  text += "\n}\n";
  write_atomically(file, std::as_bytes(std::span(text)));
}

}  // namespace pila::synth
