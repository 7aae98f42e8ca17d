// libFuzzer: what interprets foreign weight files behind the HDF5 library. The first byte chooses the reader.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "engine/core/error.h"
#include "weights/file_kind.h"
#include "weights/labels.h"
#include "weights/model_card.h"
#include "weights/model_config.h"
#include "weights/networks.h"
#include "weights/tree_codec.h"
#include "weights/weight_file.h"
#include "weights/zip.h"

namespace {

using namespace pila;

void read_tree(std::span<const std::byte> bytes) {
  const WeightFile file = interpret(decode_tree(bytes), "fuzz");
  if (!file.card.empty()) {
    parse_card(file.card);
  } else if (file.model_config.empty()) {
    describe_by_weights(file);
  } else {
    describe_by_config(file);
  }
}

// A model_config of the fuzzer's around a network that is recognised.
void read_config(std::string_view text) {
  WeightFile file;
  file.model_config = text;
  file.layers.push_back(
      {"block_16_project", "", "", {{"kernel", {{1, 1, 1, 112}, std::vector<float>(112), ""}}}});
  describe_by_config(file);
}

void read_zip(std::span<const std::byte> bytes) {
  for (const ZipEntry& entry : zip_entries(bytes)) {
    if (entry.size < (1 << 20)) {
      unzip(bytes, entry, [](std::span<const std::byte>) {});
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const auto bytes = std::as_bytes(std::span(data, size).subspan(1));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  try {
    switch (data[0] % 5) {
      case 0:
        read_tree(bytes);
        break;
      case 1:
        read_config(text);
        break;
      case 2:
        read_zip(bytes);
        break;
      case 3:
        parse_labels(text);
        break;
      default:
        parse_card(std::string(text));
    }
  } catch (const FileError&) {
    // Refused with a reason, as foreign input may be.
  }
  return 0;
}
