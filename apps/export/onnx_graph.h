// An ONNX model under construction (opset 17), without knowledge of where it comes from.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "apps/export/protobuf.h"

namespace pila {

using OnnxAttribute = std::pair<std::string, std::variant<std::int64_t, float, std::vector<std::int64_t>>>;

// Everything is float32 but shapes, which are int64.
class OnnxGraph {
 public:
  static constexpr std::int64_t kAnyBatch = -1;  // an extent that a run decides, called "N"

  void add_input(const std::string& name, std::span<const std::int64_t> extents);
  void add_output(const std::string& name, std::span<const std::int64_t> extents);

  // Appends an operation with one output, called `name` or, where something else is, `name` and a number.
  // Returns what it is called.
  std::string add_node(const std::string& type, const std::vector<std::string>& inputs,
                       const std::string& name, const std::vector<OnnxAttribute>& attributes = {});
  // The same for values that are known.
  std::string add_constant(const std::string& name, std::span<const std::int64_t> extents,
                           std::span<const float> values);
  std::string add_constant(const std::string& name, std::span<const std::int64_t> values);

  // The bytes of the file. Throws UsageError when they are more than the 2 GiB that a reader takes.
  std::string serialize(const std::string& name,
                        const std::vector<std::pair<std::string, std::string>>& metadata) const;

 private:
  std::string unique(const std::string& name);

  std::set<std::string> names_;
  ProtobufMessage nodes_, constants_, inputs_, outputs_;  // parts of one GraphProto
};

}  // namespace pila
