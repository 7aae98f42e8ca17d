// What pila-evaluate does.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/dtype.h"

namespace pila {

struct EvaluateOptions {
  std::filesystem::path model, labels, data, unknown, out;
  std::string part = "all";  // "train", "val", "test"
  std::vector<std::string> exclude;
  std::string json;  // empty: none; "-": standard output, in place of the table
  int gradcam = 0;
  std::int64_t batch = 8;
  std::string device = "cpu";  // see open_device()
  int threads = 0;
  std::optional<Precision> precision;  // of the network; none: the device and the model decide
};

// Returns the exit code; throws what ends the work.
int evaluate_command(const EvaluateOptions& options);

}  // namespace pila
