// pila-live on still images.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "apps/live/classifier.h"

namespace pila {

struct ClassifyImagesOptions {
  std::filesystem::path model, labels, source;
  std::string json;  // empty: text for people; "-": standard output
  std::size_t top = 5;
  Classifier::Options network;
  bool explain_plan = false;
  std::int64_t max_pixels = 0;
};

// Returns the exit code; throws what ends the work.
int classify_images(const ClassifyImagesOptions& options);

}  // namespace pila
