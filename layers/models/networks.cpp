#include "layers/models/networks.h"

#include <algorithm>

#include "engine/core/error.h"
#include "layers/models/mobilenet_v2.h"

namespace pila {
namespace {

constexpr std::int64_t kSmallestInput = 32, kLargestInput = 16384;

struct Network {
  const char* name;
  std::unique_ptr<Backbone> (*make)(Initializer& init, const ModelSpec& spec);
};

template <class Net>
std::unique_ptr<Backbone> make(Initializer& init, const ModelSpec& spec) {
  return std::make_unique<Net>(init, spec);
}

constexpr Network kNetworks[] = {{"mobilenet_v2", make<MobileNetV2>}};

}  // namespace

std::vector<std::string> known_networks() {
  std::vector<std::string> names;
  for (const Network& network : kNetworks) names.emplace_back(network.name);
  return names;
}

std::unique_ptr<Backbone> make_backbone(Initializer& init, const ModelSpec& spec) {
  if (std::min(spec.input_height, spec.input_width) < kSmallestInput ||
      std::max(spec.input_height, spec.input_width) > kLargestInput) {
    throw ShapeError("[" + spec.network + "] expected an input of 32 x 32 to 16384 x 16384, got " +
                     std::to_string(spec.input_height) + " x " + std::to_string(spec.input_width));
  }
  std::string known;
  for (const Network& network : kNetworks) {
    if (spec.network == network.name) return network.make(init, spec);
    known += (known.empty() ? "" : ", ") + std::string(network.name);
  }
  throw ShapeError("[model] expected a network among " + known + "; got '" + spec.network + "'");
}

}  // namespace pila
