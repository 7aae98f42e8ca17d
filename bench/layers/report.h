// What a comparison by layers found, for people and for programs.
#pragma once

#include <string>
#include <vector>

#include "bench/layers/contest.h"

namespace pila::bench {

struct Comparison {
  std::string device, library;  // library: with its version; empty for none
  int threads = 0;              // 0 where a GPU computes
  Setting setting;
  std::vector<Row> rows;
};

// Ours and theirs over the rows of a kind that both have; in sums, a row counts as often as the network has
// it.
struct Summary {
  std::string of;  // "depthwise", "all layers", "blocks", "network": what is not in blocks, and blocks
  Direction direction = Direction::forward;
  int rows = 0;                 // distinct shapes
  double ours = 0, theirs = 0;  // seconds
  double geometric_mean = 0;    // of the rows' ratios
};

std::vector<Summary> summaries_of(const Comparison& comparison);

// "convolution", "depthwise", "pointwise", "dense", "block".
std::string kind_of(const Task& task);

// A table, with sums and geometric means below.
std::string to_text(const Comparison& comparison);
// A line for each row of all comparisons, below a line of names.
std::string to_csv(const std::vector<Comparison>& comparisons);
std::string to_json(const std::vector<Comparison>& comparisons);
// A plot for each comparison: operations per byte against operations per second, both logarithmic, below the
// roof.
std::string to_svg(const std::vector<Comparison>& comparisons);

}  // namespace pila::bench
