// What a classifier says of one picture, and how that is written.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pila {

struct Verdict {
  std::string source;
  std::int64_t index = 0;
  std::vector<float> probabilities;  // by class
  bool recognised = true;            // false: "others", whatever the probabilities
  // Milliseconds. network: the batch's time divided by its pictures.
  double decode_ms = 0, preprocess_ms = 0, network_ms = 0;
};

// The most probable classes, best first; of equals the first one.
std::vector<std::size_t> top_classes(std::span<const float> probabilities, std::size_t count);

constexpr std::size_t kMaxListedClasses = 50;

// The classes that JSON lists, in class order: all up to kMaxListedClasses, the `top` best of more.
std::vector<std::size_t> listed_classes(std::span<const float> probabilities, std::size_t top);

constexpr const char* kOthers = "others";

// One JSON object without a line's end: source, index, label (kOthers for what is not recognised),
// recognised, probability, probabilities (of listed_classes()), latency_ms. Bytes that are no UTF-8 become
// U+FFFD.
std::string to_json(const Verdict& verdict, std::span<const std::string> classes, std::size_t top);

// For people: the source and the `top` best classes with their percentages.
std::string to_text(const Verdict& verdict, std::span<const std::string> classes, std::size_t top);

}  // namespace pila
