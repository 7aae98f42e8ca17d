// The ONNX encoder byte by byte, and what graphs are translated to. tests/parity/onnx_export.py runs the
// result.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <map>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "apps/export/onnx_graph.h"
#include "apps/export/protobuf.h"
#include "apps/export/to_onnx.h"
#include "engine/core/error.h"
#include "engine/ops/ops.h"
#include "engine/plan/trace.h"
#include "layers/model_graph.h"

namespace pila {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// The fields of a message: numbers as decimal text, the rest as bytes. Fails on what is no message.
struct Field {
  std::uint64_t number;
  std::string value;
};

std::uint64_t varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (bytes.empty()) throw std::runtime_error("a varint ends early");
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7Fu} << shift;
    if (byte < 0x80) return value;
  }
  throw std::runtime_error("a varint is too long");
}

std::vector<Field> fields(std::string_view bytes) {
  std::vector<Field> found;
  while (!bytes.empty()) {
    const std::uint64_t key = varint(bytes);
    if ((key & 7) == 0) {
      found.push_back({key >> 3, std::to_string(varint(bytes))});
      continue;
    }
    const std::uint64_t size = (key & 7) == 2 ? varint(bytes) : (key & 7) == 5 ? 4 : ~std::uint64_t{0};
    if (size > bytes.size()) throw std::runtime_error("a field ends early");
    found.push_back({key >> 3, std::string(bytes.substr(0, size))});
    bytes.remove_prefix(size);
  }
  return found;
}

std::vector<std::string> all(std::string_view message, std::uint64_t number) {
  std::vector<std::string> values;
  for (const Field& field : fields(message)) {
    if (field.number == number) values.push_back(field.value);
  }
  return values;
}

std::string one(std::string_view message, std::uint64_t number) {
  const auto values = all(message, number);
  if (values.size() != 1) throw std::runtime_error("one field is expected");
  return values[0];
}

TEST(Protobuf, WritesTheWireFormat) {
  ProtobufMessage inner, outer;
  inner.add_integer(1, 300);
  outer.add_integer(2, -1);  // ten bytes, as the format has it for negative numbers
  outer.add_bytes(3, "ab");
  outer.add_float(4, 1.0f);
  outer.add_message(16, inner);
  constexpr char kExpected[] =
      "\x10\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"
      "\x1A\x02"
      "ab"
      "\x25\x00\x00\x80\x3F"
      "\x82\x01\x03\x08\xAC\x02";
  EXPECT_EQ(outer.bytes(), std::string_view(kExpected, sizeof kExpected - 1));
}

TEST(OnnxGraph, GivesEveryValueANameOfItsOwn) {
  OnnxGraph graph;
  EXPECT_EQ(graph.add_node("Relu", {"x"}, "act"), "act");
  EXPECT_EQ(graph.add_node("Relu", {"act"}, "act"), "act_2");
  EXPECT_EQ(graph.add_constant("act", std::vector<std::int64_t>{1}), "act_3");
}

const Context& ctx() {
  static const Context context(Device::cpu(1));
  return context;
}

ModelDescription description(std::int64_t size) {
  ModelDescription description;
  description.preprocessing.height = description.preprocessing.width = size;
  description.classes = {"tin", "zinc \"2\""};
  description.temperature = 1.5;
  return description;
}

TensorSpec images(std::int64_t size) { return {{1, size, size, 3}, DType::f32}; }

std::vector<std::string> node_types(const std::string& model) {
  std::vector<std::string> types;
  for (const std::string& node : all(one(model, 7), 1)) types.push_back(one(node, 4));
  return types;
}

TEST(ToOnnx, TranslatesTheWholeNetwork) {
  ModelSpec spec;
  spec.width = 0.35;
  spec.input_height = spec.input_width = 32;
  spec.head = imagenet_head(2);
  const Model model(ctx(), spec, 1);
  ModelDescription about = description(32);
  about.spec = spec;
  Graph graph = trace_model(ctx(), model, about.preprocessing, 1, GraphInput::images);
  graph.outputs() = {graph.outputs()[kLogitsOutput]};
  graph.drop_unused();
  const std::string bytes = to_onnx(ctx(), graph, about);

  EXPECT_EQ(one(one(bytes, 8), 2), "17");
  std::map<std::string, int> counts;
  for (const std::string& type : node_types(bytes)) ++counts[type];
  EXPECT_EQ(counts["Conv"], 52);
  EXPECT_EQ(counts["BatchNormalization"], 52);
  EXPECT_EQ(counts["Clip"], 35);
  EXPECT_EQ(counts["Add"], 10);
  EXPECT_EQ(counts["Gemm"], 1);
  EXPECT_EQ(counts["Transpose"], 1);
  std::map<std::string, std::string> metadata;
  for (const std::string& entry : all(bytes, 14)) metadata[one(entry, 1)] = one(entry, 2);
  EXPECT_EQ(metadata["classes"], R"(["tin","zinc \"2\""])");
  EXPECT_EQ(metadata["input_size"], "[32,32]");
  EXPECT_EQ(metadata["temperature"], "1.5");
}

// A graph of one operation on images, pooled so that it ends as logits do.
Graph graph_of(const std::function<Tensor(const Context&, const Tensor&)>& work) {
  const TensorSpec input = images(4);
  return trace(ctx().inference(), {&input, 1}, [&](const Context& tracing, std::span<const Tensor> inputs) {
    return std::vector{ops::global_average_pool(tracing, work(tracing, inputs[0]))};
  });
}

TEST(ToOnnx, LaysKernelsOutAsOnnxDoes) {
  std::vector<float> values(2 * 2 * 3 * 2);  // HWIO
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const Tensor kernel = Tensor::from(ctx(), {2, 2, 3, 2}, values);
  const Graph graph = graph_of(
      [&](const Context& tracing, const Tensor& x) { return ops::conv2d(tracing, x, kernel, {}, {}); });
  const std::string bytes = to_onnx(ctx(), graph, description(4), 5);
  const std::string tensor = all(one(bytes, 7), 5).at(0);
  EXPECT_THAT(all(tensor, 1), ElementsAre("2", "3", "2", "2"));
  std::vector<float> written(values.size());
  const std::string raw = one(tensor, 9);
  ASSERT_EQ(raw.size(), values.size() * sizeof(float));
  std::memcpy(written.data(), raw.data(), raw.size());
  for (std::size_t o = 0; o < 2; ++o) {
    for (std::size_t i = 0; i < 3; ++i) {
      for (std::size_t tap = 0; tap < 4; ++tap) {
        EXPECT_EQ(written[(o * 3 + i) * 4 + tap], values[(tap * 3 + i) * 2 + o]);
      }
    }
  }
}

TEST(ToOnnx, TranslatesActivationsAndGates) {
  const Graph graph = graph_of([](const Context& tracing, const Tensor& x) {
    const auto apply = [&](const Tensor& to, Activation kind) { return ops::activation(tracing, to, kind); };
    const Tensor gated = apply(x, Activation::silu),
                 gate = apply(apply(x, Activation::relu), Activation::sigmoid);
    return ops::multiply(tracing, gated, gate);
  });
  EXPECT_THAT(node_types(to_onnx(ctx(), graph, description(4))),
              ElementsAre("Transpose", "Sigmoid", "Mul", "Relu", "Sigmoid", "Mul", "GlobalAveragePool",
                          "Flatten", "Identity", "Div", "Softmax"));
}

TEST(ToOnnx, NamesAnOperationThatItDoesNotKnow) {
  const Tensor row = Tensor::full(ctx(), {{3}, DType::f32}, 2);
  const Graph graph =
      graph_of([&](const Context& tracing, const Tensor& x) { return ops::multiply(tracing, x, row); });
  try {
    to_onnx(ctx(), graph, description(4));
    FAIL() << "nothing was thrown";
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("[onnx]"));
    EXPECT_THAT(error.what(), HasSubstr(std::string(graph.nodes()[0].op->name())));
  }
}

}  // namespace
}  // namespace pila
