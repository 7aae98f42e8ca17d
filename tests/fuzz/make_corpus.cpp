// Writes what fuzz_weights starts from: the fixtures, as the code behind the HDF5 library sees them.
#include <cstdio>

#include "tests/weights/support.h"
#include "weights/container.h"
#include "weights/model_card.h"
#include "weights/tree_codec.h"

namespace {

using namespace pila;

// As short as an array can be that still tells the network, so that the fuzzer spends itself on structure.
Hdf5Tree shortened(Hdf5Tree tree) {
  for (auto& [path, array] : tree.arrays) {
    const std::int64_t last =
        array.shape.empty() || array.shape.size() == 1 ? 1 : std::min<std::int64_t>(array.shape.back(), 112);
    array.shape = std::vector<std::int64_t>(array.shape.size(), 1);
    if (!array.shape.empty()) {
      array.shape.back() = last;
    }
    array.values = std::vector<float>(static_cast<std::size_t>(last), 1.0f);
  }
  return tree;
}

std::string encoded(const Hdf5Tree& tree) {
  std::string bytes;
  TreeEncoder encoder(
      [&](const void* data, std::size_t count) { bytes.append(static_cast<const char*>(data), count); });
  encode(tree, encoder);
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_corpus FOLDER\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder);
  const auto write = [&](char reader, const std::string& name, const std::string& content) {
    test::write_bytes(folder / name, std::string(1, reader) + content);
  };
  for (const char* name : {"tiny.weights.h5", "tiny.keras", "tiny_legacy.h5", "tiny_split.h5",
                           "nested_frozen.h5", "nested.weights.h5", "mobilenet_v2_035_96.keras"}) {
    const Hdf5Tree tree = read_container(test::fixture(name));
    write(0, std::string("tree_") + name, encoded(shortened(tree)));
    const auto& root = tree.groups.at("");
    if (const auto config = root.find("model_config"); config != root.end()) {
      write(1, std::string("config_") + name, config->second.values[0]);
    }
  }
  write(2, "zip_deflated", test::read_bytes(test::fixture("mobilenet_v2_035_96.keras")));
  write(2, "zip_stored", test::read_bytes(test::fixture("tiny.keras")));
  write(3, "labels", "0 card\r\n1 plastic, blue\n2 \xC3\xA4\n");
  ModelDescription model;
  model.spec.head = imagenet_head(2);
  model.classes = {"a", "b"};
  write(4, "card", format_card(model));
}
