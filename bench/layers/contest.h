// Who computes a task how fast: this project's kernels, and a library's best, taking turns.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/baselines/library.h"
#include "bench/layers/roofline.h"
#include "bench/layers/task.h"

namespace pila::bench {

struct Time {
  double seconds = 0;  // median of one run
  std::string by;      // kernels, or the library's engine
};

struct Row {
  Task task;
  Work work;
  double floor_seconds = 0;
  std::optional<Time> ours;     // a block: all in one kernel
  std::optional<Time> unfused;  // a block: a kernel for each layer
  std::optional<Time> theirs;   // a block: a call for each layer, each the fastest of its kind
  double difference = 0;        // largest between the results, in units of the largest result
};

// Ours as plans have it: a block in one kernel where the device has that, else a kernel for each layer.
const std::optional<Time>& time_of(const Row& row);

// Theirs over that; none where one of them is missing.
std::optional<double> ratio_of(const Row& row);

struct Setting {
  std::int64_t batch = 1;
  DType type = DType::f32;
  Precision products = Precision::f32;  // see Context::products()
  int rounds = 15;
  Roof roof;
};

// "float16"; products of float32 may have a name of their own.
inline std::string type_name(const Setting& setting) {
  return setting.products == Precision::f32 ? to_string(setting.type) : to_string(setting.products);
}

// How much two right results of a problem may differ, in units of the largest one.
double tolerance(const Problem& problem, double factor_error);

// Compares the results, then times all that compute the task; library: null for none. Memory is warm: in a
// turn everyone runs over and over on the same operands. Throws Error where results differ too much.
Row measure(const Context& ctx, const Task& task, const Setting& setting, Library* library);

}  // namespace pila::bench
