// Writes a model whose weights hold what make_fixtures.py calls their pattern, for verify_with_keras.py.
#include <cstdio>

#include "tests/weights/support.h"
#include "weights/model_card.h"
#include "weights/save_weights.h"

int main(int argc, char** argv) {
  using namespace pila;
  if (argc != 2) {
    std::fprintf(stderr, "usage: save_for_keras FILE\n");
    return 2;
  }
  const Context ctx(Device::cpu(1));
  ModelDescription card;
  card.spec.width = 0.35;
  card.spec.input_height = card.spec.input_width = 96;
  card.spec.head = imagenet_head(5);
  const Model model(ctx, card.spec);
  for (const Layer* layer : model.layers()) {
    for (const Parameter& parameter : layer->parameters()) {
      const auto count = static_cast<std::size_t>(parameter.value.shape().elements());
      const std::string weight = parameter.name == "depthwise_kernel" ? "kernel" : parameter.name;
      const std::vector<float> values = test::pattern(layer->name() + "/" + weight, count);
      parameter.value.assign(ctx, std::span<const float>(values));
    }
  }
  save_weights(ctx, model, argv[1], format_card(card));
}
