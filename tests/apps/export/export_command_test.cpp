// pila-export as its users run it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "engine/core/context.h"
#include "layers/model.h"
#include "tests/apps/process.h"
#include "weights/load_model.h"
#include "weights/save_weights.h"

namespace pila {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class Export : public testing::Test {
 protected:
  Export() {
    write_model("model.h5", imagenet_head(3));
    write_model("backbone.h5", {});
  }

  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }

  void write_model(const std::string& name, std::vector<HeadLayerSpec> head) const {
    ModelDescription description;
    description.spec.width = 0.35;
    description.spec.input_height = description.spec.input_width = 32;
    description.spec.head = std::move(head);
    description.preprocessing.height = description.preprocessing.width = 32;
    if (!description.spec.head.empty()) description.classes = {"copper", "tin", "zinc"};
    save_model(ctx_, Model(ctx_, description.spec, 1), description, at(name));
  }

  test::Finished run(const std::string& model, const std::string& to, const std::string& out,
                     std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{"--model", at(model), "--to", to, "--out", at(out)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return test::run_program(PILA_EXPORT, arguments);
  }

  test::TemporaryFolder folder_;
  const Context ctx_{Device::cpu(1)};
};

TEST_F(Export, WritesOnnx) {
  const auto finished = run("model.h5", "onnx", "model.onnx");
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  const std::string bytes = test::read_text(at("model.onnx"));
  EXPECT_THAT(bytes, HasSubstr("BatchNormalization"));
  EXPECT_THAT(bytes, HasSubstr(R"(["copper","tin","zinc"])"));
}

TEST_F(Export, WritesWeightsForKeras) {
  EXPECT_EQ(run("model.h5", "keras", "keras.h5").exit_code, 0);
  const LoadedModel before = load_model(ctx_, at("model.h5")), after = load_model(ctx_, at("keras.h5"));
  EXPECT_EQ(after.classes.size(), 0U);  // nothing of Pila's own
  ASSERT_EQ(after.model->parameter_count(), before.model->parameter_count());
  const Layer *was = before.model->find_layer("predictions"), *is = after.model->find_layer("predictions");
  ASSERT_TRUE(was != nullptr && is != nullptr);
  EXPECT_EQ(is->parameters()[0].value.to_vector<float>(ctx_),
            was->parameters()[0].value.to_vector<float>(ctx_));
}

TEST_F(Export, WritesTheBackboneForKeras) {
  EXPECT_EQ(run("model.h5", "keras", "no_top.h5", {"--no-top"}).exit_code, 0);
  const LoadedModel before = load_model(ctx_, at("model.h5")), after = load_model(ctx_, at("no_top.h5"));
  EXPECT_EQ(after.model->find_layer("predictions"), nullptr);
  const auto was = before.model->backbone().layers(), is = after.model->backbone().layers();
  ASSERT_EQ(is.size(), was.size());
  for (std::size_t i = 0; i < is.size(); ++i) {
    ASSERT_EQ(is[i]->name(), was[i]->name());
    for (std::size_t k = 0; k < is[i]->parameters().size(); ++k) {
      EXPECT_EQ(is[i]->parameters()[k].value.to_vector<float>(ctx_),
                was[i]->parameters()[k].value.to_vector<float>(ctx_));
    }
  }
}

TEST_F(Export, SaysWhatIsWrong) {
  const auto missing = run("missing.h5", "onnx", "out.onnx");
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_THAT(missing.err, StartsWith("pila-export: " + at("missing.h5")));
  std::ofstream(at("text.h5")) << "Not a model.";
  EXPECT_EQ(run("text.h5", "onnx", "out.onnx").exit_code, 1);
  const auto backbone = run("backbone.h5", "onnx", "out.onnx");
  EXPECT_EQ(backbone.exit_code, 1);
  EXPECT_THAT(backbone.err, HasSubstr("a classifier is expected"));
  const auto nowhere = run("model.h5", "onnx", "no/such/folder/out.onnx");
  EXPECT_EQ(nowhere.exit_code, 1);
  EXPECT_THAT(nowhere.err, HasSubstr(at("no/such/folder/out.onnx")));
  EXPECT_EQ(run("model.h5", "keras", "no/such/folder/out.h5").exit_code, 1);
  EXPECT_FALSE(std::filesystem::exists(at("out.onnx")));
}

TEST_F(Export, RefusesWrongUsage) {
  EXPECT_EQ(run("model.h5", "tflite", "out").exit_code, 2);
  EXPECT_EQ(run("model.h5", "keras", "model.h5").exit_code, 2);
  EXPECT_EQ(run("model.h5", "keras", "out.h5", {"--batch", "2"}).exit_code, 2);
  EXPECT_EQ(run("model.h5", "onnx", "out.onnx", {"--no-top"}).exit_code, 2);
}

}  // namespace
}  // namespace pila
