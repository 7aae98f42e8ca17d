// A model of one's own under other classes.
#include "weights/transfer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/weights/support.h"

namespace pila::transfer_test {
namespace {

using test::file_error;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const Context& context() {
  static const Context ctx(Device::cpu(1));
  return ctx;
}

ModelSpec spec_for(std::int64_t classes, double width = 0.35) {
  ModelSpec spec;
  spec.width = width;
  spec.input_height = spec.input_width = 32;
  spec.head = imagenet_head(classes);
  return spec;
}

LoadedModel own_model(const std::vector<std::string>& classes) {
  LoadedModel own;
  own.spec = spec_for(static_cast<std::int64_t>(classes.size()));
  own.classes = classes;
  own.model = std::make_unique<Model>(context(), own.spec, 1);
  const auto& head = own.model->find_layer("predictions")->parameters();
  std::vector<float> bias(classes.size());
  for (std::size_t i = 0; i < bias.size(); ++i) bias[i] = static_cast<float>(i + 1);
  head[1].value.assign<float>(context(), bias);
  return own;
}

std::vector<float> values(const Model& model, const std::string& layer, std::size_t index = 0) {
  return model.find_layer(layer)->parameters()[index].value.to_vector<float>(context());
}

// One class's part of the last kernel.
std::vector<float> column(const Model& model, std::size_t index) {
  const std::vector<float> kernel = values(model, "predictions");
  std::vector<float> result;
  for (auto i = index; i < kernel.size(); i += static_cast<std::size_t>(model.classes()))
    result.push_back(kernel[i]);
  return result;
}

TEST(Transfer, KeepsKnownClassesByName) {
  const LoadedModel own = own_model({"AA", "C", "9V"});
  Model model(context(), spec_for(4), 2);
  const Model untouched(context(), spec_for(4), 2);
  const TransferReport report = transfer_weights(context(), model, {"9V", "AAA", "AA", "D"}, own, "own.h5");
  EXPECT_THAT(report.kept, ElementsAre("9V", "AA"));
  EXPECT_THAT(report.added, ElementsAre("AAA", "D"));
  EXPECT_THAT(report.dropped, ElementsAre("C"));
  EXPECT_TRUE(report.remark.empty());
  EXPECT_EQ(values(model, "Conv_1"), values(*own.model, "Conv_1"));
  EXPECT_EQ(values(model, "bn_Conv1", 3), values(*own.model, "bn_Conv1", 3));
  EXPECT_EQ(column(model, 0), column(*own.model, 2));
  EXPECT_EQ(column(model, 2), column(*own.model, 0));
  EXPECT_EQ(column(model, 1), column(untouched, 1));
  EXPECT_EQ(column(model, 3), column(untouched, 3));
  EXPECT_THAT(values(model, "predictions", 1), ElementsAre(3, 0, 1, 0));
}

TEST(Transfer, OfTheSameClassesGivesTheSameModel) {
  const LoadedModel own = own_model({"AA", "C"});
  Model model(context(), spec_for(2), 2);
  const TransferReport report = transfer_weights(context(), model, own.classes, own, "own.h5");
  EXPECT_THAT(report.added, IsEmpty());
  EXPECT_THAT(report.dropped, IsEmpty());
  for (std::size_t i = 0; i < model.layers().size(); ++i) {
    for (std::size_t k = 0; k < model.layers()[i]->parameters().size(); ++k) {
      EXPECT_EQ(values(model, model.layers()[i]->name(), k),
                values(*own.model, model.layers()[i]->name(), k));
    }
  }
}

TEST(Transfer, TakesHiddenLayersThatFit) {
  const auto with_hidden = [](std::int64_t units, std::int64_t classes) {
    ModelSpec spec = spec_for(classes);
    spec.head.insert(spec.head.begin() + 1, {"Dense", "hidden", units, true, "relu", 0});
    return spec;
  };
  LoadedModel own = own_model({"AA", "C"});
  own.spec = with_hidden(8, 2);
  own.model = std::make_unique<Model>(context(), own.spec, 5);
  Model fitting(context(), with_hidden(8, 1), 2);
  EXPECT_THAT(transfer_weights(context(), fitting, {"C"}, own, "own.h5").kept, ElementsAre("C"));
  EXPECT_EQ(values(fitting, "hidden"), values(*own.model, "hidden"));
  EXPECT_EQ(column(fitting, 0), column(*own.model, 1));

  Model wider(context(), with_hidden(16, 1), 2);
  const TransferReport report = transfer_weights(context(), wider, {"C"}, own, "own.h5");
  EXPECT_THAT(report.kept, IsEmpty());
  EXPECT_THAT(report.added, ElementsAre("C"));
  EXPECT_THAT(report.remark, HasSubstr("different sizes"));
  EXPECT_EQ(values(wider, "Conv_1"), values(*own.model, "Conv_1"));
  Model flat(context(), spec_for(1), 2);
  EXPECT_THAT(transfer_weights(context(), flat, {"C"}, own, "own.h5").remark, HasSubstr("numbers of layers"));
}

TEST(Transfer, WithoutClassNamesTakesTheBackbone) {
  LoadedModel own = own_model({"AA", "C"});
  own.classes.clear();
  Model model(context(), spec_for(2), 2);
  const TransferReport report = transfer_weights(context(), model, {"AA", "C"}, own, "own.h5");
  EXPECT_THAT(report.kept, IsEmpty());
  EXPECT_THAT(report.remark, HasSubstr("does not name its classes"));
  EXPECT_EQ(values(model, "Conv_1"), values(*own.model, "Conv_1"));
}

TEST(Transfer, RefusesAnotherWidthAndLeavesTheModel) {
  const LoadedModel own = own_model({"AA"});
  Model model(context(), spec_for(1, 0.5), 2);
  const std::vector<float> before = values(model, "Conv_1");
  EXPECT_EQ(file_error([&] { transfer_weights(context(), model, {"AA"}, own, "own.h5"); }),
            "own.h5: expected mobilenet_v2 of width 0.50, got mobilenet_v2 of width 0.35");
  EXPECT_EQ(values(model, "Conv_1"), before);
  EXPECT_THROW(transfer_weights(context(), model, {"AA", "C"}, own, "own.h5"), UsageError);
}

}  // namespace
}  // namespace pila::transfer_test
