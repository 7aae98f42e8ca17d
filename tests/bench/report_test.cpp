#include "bench/layers/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

namespace pila::bench {
namespace {

using testing::HasSubstr;
using testing::Not;

Row row_of(const std::string& name, LayerKind kind, int count, double ours, std::optional<double> theirs) {
  Row row;
  row.task = {name, {{name, kind, 4, 8, 4, 8, 1, 1}}, Direction::forward, count};
  row.work = {4000, 1000};
  row.floor_seconds = 1e-6;
  row.ours = Time{ours, "our \"kernel\""};
  if (theirs) row.theirs = Time{*theirs, "their kernel"};
  return row;
}

// Ratios 2 and 8 of pointwise layers; a depthwise one that the library lacks; a block.
Comparison example() {
  Comparison comparison;
  comparison.device = "A <fast> processor";
  comparison.library = "Library 1.0";
  comparison.threads = 1;
  comparison.setting.roof = {1e12, 1e11};
  comparison.rows = {row_of("b1.expand", LayerKind::pointwise, 3, 1e-6, 2e-6),
                     row_of("b2.expand", LayerKind::pointwise, 1, 2e-6, 16e-6),
                     row_of("b1.dw", LayerKind::depthwise, 1, 5e-6, {})};
  Row block = row_of("b1", LayerKind::pointwise, 2, 4e-6, 6e-6);
  block.task.parts.push_back(block.task.parts.front());
  block.unfused = Time{5e-6, "two kernels"};
  comparison.rows.push_back(block);
  return comparison;
}

TEST(Report, SumsTheNetworkAndTakesGeometricMeans) {
  const auto summaries = summaries_of(example());
  const auto find = [&](const std::string& of) { return *std::ranges::find(summaries, of, &Summary::of); };
  EXPECT_EQ(find("pointwise").rows, 2);
  EXPECT_DOUBLE_EQ(find("pointwise").ours, 5e-6);
  EXPECT_DOUBLE_EQ(find("pointwise").theirs, 22e-6);
  EXPECT_DOUBLE_EQ(find("pointwise").geometric_mean, 4);
  EXPECT_DOUBLE_EQ(find("blocks").geometric_mean, 1.5);
  EXPECT_DOUBLE_EQ(find("network").theirs, 12e-6);  // layers in blocks do not count twice
  EXPECT_TRUE(std::ranges::none_of(summaries, [](const Summary& s) { return s.of == "depthwise"; }));
}

TEST(Report, ABlockCountsAsPlansRunIt) {
  Row block = example().rows.back();
  EXPECT_DOUBLE_EQ(ratio_of(block).value(), 1.5);
  block.ours.reset();  // no kernel for all of it
  EXPECT_DOUBLE_EQ(ratio_of(block).value(), 1.2);
  block.theirs.reset();
  EXPECT_FALSE(ratio_of(block));
}

TEST(Report, TextShowsWhatIsMissing) {
  const std::string text = to_text(example());
  EXPECT_THAT(text, HasSubstr("against Library 1.0"));
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line) && !line.starts_with("b1.dw")) {
  }
  EXPECT_THAT(line, HasSubstr("5.0"));
  EXPECT_THAT(line, HasSubstr(" - "));
  EXPECT_THAT(text, HasSubstr("geometric mean of ratios  4.00"));
}

TEST(Report, CsvHasOneFieldForEachName) {
  std::istringstream lines(to_csv({example(), example()}));
  std::string line;
  int count = 0;
  while (std::getline(lines, line)) {
    bool quoted = false;
    const auto fields = 1 + std::ranges::count_if(line, [&](char c) {
                          quoted ^= c == '"';
                          return c == ',' && !quoted;
                        });
    EXPECT_EQ(fields, 21) << line;
    ++count;
  }
  EXPECT_EQ(count, 1 + 2 * 4);
}

TEST(Report, JsonHasRowsAndSummaries) {
  const auto json = nlohmann::json::parse(to_json({example()})).at(0);
  EXPECT_EQ(json["rows"].size(), 4u);
  EXPECT_EQ(json["rows"][0]["ratio"], 2.0);
  EXPECT_EQ(json["rows"][0]["ours"]["by"], "our \"kernel\"");
  EXPECT_TRUE(json["rows"][2]["theirs"].is_null());
  EXPECT_FALSE(json["rows"][2].contains("ratio"));
  EXPECT_DOUBLE_EQ(json["rows"][3]["unfused"]["microseconds"], 5);
  EXPECT_EQ(json["summaries"].size(), summaries_of(example()).size());
}

TEST(Report, PlotHasAPanelForEachComparisonAndAMarkForEachTime) {
  const auto occurrences = [](const std::string& text, const std::string& part) {
    int count = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
    return count;
  };
  const std::string svg = to_svg({example(), example(), example()});
  constexpr int kTimes = 4 + 3, kLegend = 4;
  EXPECT_EQ(occurrences(svg, "<title>"), 3 * (kTimes + kLegend));
  EXPECT_EQ(occurrences(svg, "<g "), occurrences(svg, "</g>"));
  EXPECT_EQ(occurrences(svg, "<g "), 3);
  EXPECT_THAT(svg, HasSubstr("A &lt;fast> processor"));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

}  // namespace
}  // namespace pila::bench
