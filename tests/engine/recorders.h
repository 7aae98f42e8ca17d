// Recorders that write down what they are told.
#pragma once

#include <string>
#include <vector>

#include "engine/ops/op.h"

namespace pila::test {

class ListingRecorder : public Recorder {
 public:
  struct Entry {
    std::shared_ptr<const Op> op;
    std::vector<Tensor> inputs, outputs;
  };

  void record(const std::shared_ptr<const Op>& op, std::span<const Tensor> inputs,
              std::span<const Tensor> outputs) override {
    entries.push_back({op, {inputs.begin(), inputs.end()}, {outputs.begin(), outputs.end()}});
  }
  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const Entry& entry : entries) result.emplace_back(entry.op->name());
    return result;
  }

  std::vector<Entry> entries;
};

class TracingRecorder : public ListingRecorder {
 public:
  bool tracing() const override { return true; }
};

}  // namespace pila::test
