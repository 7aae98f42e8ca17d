// Writes a model with all that a file may carry, whose weights hold what make_fixtures.py calls their
// pattern, for verify_with_keras.py.
#include <cstdio>

#include "tests/weights/support.h"
#include "weights/save_weights.h"

int main(int argc, char** argv) {
  using namespace pila;
  if (argc != 2) {
    std::fprintf(stderr, "usage: save_for_keras FILE\n");
    return 2;
  }
  const Context ctx(Device::cpu(1));
  ModelDescription description;
  description.spec.width = 0.35;
  description.spec.input_height = description.spec.input_width = 96;
  description.spec.head = imagenet_head(5);
  description.classes = {"a", "b", "c", "d", "e"};
  description.recipe = "\"" + std::string(100'000, 'r') + "\"";  // more than an attribute has room for
  description.arrays["class_means"] = {{5, 1280}, std::vector<float>(5 * 1280, 0.5f)};
  const Model model(ctx, description.spec);
  for (const Layer* layer : model.layers()) {
    for (const Parameter& parameter : layer->parameters()) {
      const auto count = static_cast<std::size_t>(parameter.value.shape().elements());
      const std::string weight = parameter.name == "depthwise_kernel" ? "kernel" : parameter.name;
      const std::vector<float> values = test::pattern(layer->name() + "/" + weight, count);
      parameter.value.assign(ctx, std::span<const float>(values));
    }
  }
  save_model(ctx, model, description, argv[1]);
}
