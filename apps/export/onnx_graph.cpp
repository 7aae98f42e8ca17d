#include "apps/export/onnx_graph.h"

#include <bit>
#include <limits>
#include <string_view>

#include "engine/core/error.h"

namespace pila {
namespace {

// Numbers of fields and of types, by message (onnx.proto3).
namespace model_proto {
constexpr int kIrVersion = 1, kProducerName = 2, kGraph = 7, kOpsetImport = 8, kMetadataProps = 14;
}
namespace opset_proto {
constexpr int kDomain = 1, kVersion = 2;
}
namespace entry_proto {
constexpr int kKey = 1, kValue = 2;
}
namespace graph_proto {
constexpr int kNode = 1, kName = 2, kInitializer = 5, kInput = 11, kOutput = 12;
}
namespace node_proto {
constexpr int kInput = 1, kOutput = 2, kName = 3, kOpType = 4, kAttribute = 5;
}
namespace attribute_proto {
constexpr int kName = 1, kFloat = 2, kInt = 3, kInts = 8, kType = 20;
constexpr int kTypeFloat = 1, kTypeInt = 2, kTypeInts = 7;
}  // namespace attribute_proto
namespace tensor_proto {
constexpr int kDims = 1, kDataType = 2, kName = 8, kRawData = 9;
constexpr int kFloat = 1, kInt64 = 7;
}  // namespace tensor_proto
namespace value_proto {
constexpr int kName = 1, kType = 2;
}
namespace type_proto {
constexpr int kTensorType = 1, kElementType = 1, kShape = 2, kDim = 1, kDimValue = 1, kDimParam = 2;
}

constexpr int kIrVersion = 8, kOpset = 17;  // the IR of ONNX 1.12, which brought this opset

static_assert(std::endian::native == std::endian::little, "raw_data is little-endian");

ProtobufMessage value_info(const std::string& name, std::span<const std::int64_t> extents) {
  ProtobufMessage shape;
  for (const std::int64_t extent : extents) {
    ProtobufMessage dim;
    if (extent == OnnxGraph::kAnyBatch) {
      dim.add_bytes(type_proto::kDimParam, "N");
    } else {
      dim.add_integer(type_proto::kDimValue, extent);
    }
    shape.add_message(type_proto::kDim, dim);
  }
  ProtobufMessage tensor, type, value;
  tensor.add_integer(type_proto::kElementType, tensor_proto::kFloat);
  tensor.add_message(type_proto::kShape, shape);
  type.add_message(type_proto::kTensorType, tensor);
  value.add_bytes(value_proto::kName, name);
  value.add_message(value_proto::kType, type);
  return value;
}

template <class T>
ProtobufMessage tensor(const std::string& name, std::span<const std::int64_t> extents, int type,
                       std::span<const T> values) {
  ProtobufMessage message;
  for (const std::int64_t extent : extents) message.add_integer(tensor_proto::kDims, extent);
  message.add_integer(tensor_proto::kDataType, type);
  message.add_bytes(tensor_proto::kName, name);
  message.add_bytes(tensor_proto::kRawData,
                    {reinterpret_cast<const char*>(values.data()), values.size_bytes()});
  return message;
}

struct AttributeWriter {
  ProtobufMessage& message;
  void operator()(std::int64_t value) const {
    message.add_integer(attribute_proto::kInt, value);
    message.add_integer(attribute_proto::kType, attribute_proto::kTypeInt);
  }
  void operator()(float value) const {
    message.add_float(attribute_proto::kFloat, value);
    message.add_integer(attribute_proto::kType, attribute_proto::kTypeFloat);
  }
  void operator()(const std::vector<std::int64_t>& values) const {
    for (const std::int64_t value : values) message.add_integer(attribute_proto::kInts, value);
    message.add_integer(attribute_proto::kType, attribute_proto::kTypeInts);
  }
};

}  // namespace

std::string OnnxGraph::unique(const std::string& name) {
  std::string chosen = name;
  for (int number = 2; !names_.insert(chosen).second; ++number) chosen = name + "_" + std::to_string(number);
  return chosen;
}

void OnnxGraph::add_input(const std::string& name, std::span<const std::int64_t> extents) {
  names_.insert(name);
  inputs_.add_message(graph_proto::kInput, value_info(name, extents));
}

void OnnxGraph::add_output(const std::string& name, std::span<const std::int64_t> extents) {
  outputs_.add_message(graph_proto::kOutput, value_info(name, extents));
}

std::string OnnxGraph::add_node(const std::string& type, const std::vector<std::string>& inputs,
                                const std::string& name, const std::vector<OnnxAttribute>& attributes) {
  std::string output = unique(name);
  ProtobufMessage node;
  for (const std::string& input : inputs) node.add_bytes(node_proto::kInput, input);
  node.add_bytes(node_proto::kOutput, output);
  node.add_bytes(node_proto::kName, output);
  node.add_bytes(node_proto::kOpType, type);
  for (const auto& [key, value] : attributes) {
    ProtobufMessage attribute;
    attribute.add_bytes(attribute_proto::kName, key);
    std::visit(AttributeWriter{attribute}, value);
    node.add_message(node_proto::kAttribute, attribute);
  }
  nodes_.add_message(graph_proto::kNode, node);
  return output;
}

std::string OnnxGraph::add_constant(const std::string& name, std::span<const std::int64_t> extents,
                                    std::span<const float> values) {
  std::string chosen = unique(name);
  constants_.add_message(graph_proto::kInitializer, tensor(chosen, extents, tensor_proto::kFloat, values));
  return chosen;
}

std::string OnnxGraph::add_constant(const std::string& name, std::span<const std::int64_t> values) {
  std::string chosen = unique(name);
  const auto count = static_cast<std::int64_t>(values.size());
  constants_.add_message(graph_proto::kInitializer,
                         tensor(chosen, std::span(&count, 1), tensor_proto::kInt64, values));
  return chosen;
}

std::string OnnxGraph::serialize(const std::string& name,
                                 const std::vector<std::pair<std::string, std::string>>& metadata) const {
  ProtobufMessage name_only, opset, model;
  name_only.add_bytes(graph_proto::kName, name);
  opset.add_bytes(opset_proto::kDomain, "");
  opset.add_integer(opset_proto::kVersion, kOpset);
  model.add_integer(model_proto::kIrVersion, kIrVersion);
  model.add_bytes(model_proto::kProducerName, "pila");
  model.add_message(model_proto::kOpsetImport, opset);
  // A message is the sequence of its fields.
  model.add_bytes(model_proto::kGraph, nodes_.bytes() + name_only.bytes() + constants_.bytes() +
                                           inputs_.bytes() + outputs_.bytes());
  for (const auto& [key, value] : metadata) {
    ProtobufMessage entry;
    entry.add_bytes(entry_proto::kKey, key);
    entry.add_bytes(entry_proto::kValue, value);
    model.add_message(model_proto::kMetadataProps, entry);
  }
  if (model.bytes().size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
    throw UsageError("[onnx] expected a model below 2 GiB, got " + std::to_string(model.bytes().size()) +
                     " bytes");
  }
  return model.bytes();
}

}  // namespace pila
