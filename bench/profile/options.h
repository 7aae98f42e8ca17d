// pila-profile's command line.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/layers/task.h"
#include "engine/core/dtype.h"

namespace CLI {
class App;
}

namespace pila::bench {

struct ProfileOptions {
  std::string model;
  std::string network;  // compared layer by layer; empty: a model's plan is measured
  std::string device = "cpu", against = "none", direction = "forward";
  double width = 1;
  std::int64_t size = 224;
  std::vector<std::int64_t> batches = {1};
  std::vector<int> threads = {1};
  std::vector<Precision> precisions;  // empty: the model or device decides
  int rounds = 0;                     // 0: 50 of a plan, 15 of each layer
  bool pixels = false;
  std::vector<std::string> without;
  bool json = false;                           // instead of the table
  std::string json_file, csv_file, plot_file;  // empty: none
  std::string tune_file;                       // where better cuts of products go; empty: layers are compared
};

void add_options(CLI::App& app, ProfileOptions& options);

// Throws UsageError for options that do not go together.
void check(const ProfileOptions& options);

std::vector<Direction> directions_of(const ProfileOptions& options);

// What layers in a precision are stored in, and what their products round to (see Context::products()).
DType storage_of(Precision precision);
inline Precision products_in(Precision precision) {
  return precision == Precision::tf32 ? precision : Precision::f32;
}

// At least 1: 0 are all cores.
int resolved_threads(int threads);

}  // namespace pila::bench
