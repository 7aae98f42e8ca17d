#include <nlohmann/json.hpp>

#include "bench/layers/report.h"

namespace pila::bench {
namespace {

nlohmann::ordered_json json_of(const std::optional<Time>& time) {
  if (!time) return nullptr;
  return {{"microseconds", 1e6 * time->seconds}, {"by", time->by}};
}

nlohmann::ordered_json json_of(const Row& row) {
  nlohmann::ordered_json json = {{"direction", name_of(row.task.direction)},
                                 {"kind", kind_of(row.task)},
                                 {"name", row.task.name},
                                 {"count", row.task.count},
                                 {"shape", shape_text(row.task)},
                                 {"flops", row.work.flops},
                                 {"bytes", row.work.bytes},
                                 {"floor_microseconds", 1e6 * row.floor_seconds},
                                 {"ours", json_of(row.ours)}};
  if (row.task.is_block()) json["unfused"] = json_of(row.unfused);
  json["theirs"] = json_of(row.theirs);
  if (const auto ratio = ratio_of(row)) json["ratio"] = *ratio;
  json["difference"] = row.difference;
  return json;
}

nlohmann::ordered_json json_of(const Summary& summary) {
  return {{"direction", name_of(summary.direction)},
          {"of", summary.of},
          {"shapes", summary.rows},
          {"ours_microseconds", 1e6 * summary.ours},
          {"theirs_microseconds", 1e6 * summary.theirs},
          {"ratio", summary.theirs / summary.ours},
          {"geometric_mean_ratio", summary.geometric_mean}};
}

nlohmann::ordered_json json_of(const Comparison& comparison) {
  nlohmann::ordered_json json = {{"device", comparison.device},
                                 {"library", comparison.library},
                                 {"threads", comparison.threads},
                                 {"batch", comparison.setting.batch},
                                 {"type", type_name(comparison.setting)},
                                 {"rounds", comparison.setting.rounds},
                                 {"peak_flops_per_s", comparison.setting.roof.flops_per_s},
                                 {"peak_bytes_per_s", comparison.setting.roof.bytes_per_s}};
  for (const Row& row : comparison.rows) json["rows"].push_back(json_of(row));
  for (const Summary& summary : summaries_of(comparison)) json["summaries"].push_back(json_of(summary));
  return json;
}

}  // namespace

std::string to_json(const std::vector<Comparison>& comparisons) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const Comparison& comparison : comparisons) all.push_back(json_of(comparison));
  return all.dump(1) + '\n';
}

}  // namespace pila::bench
