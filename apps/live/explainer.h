// Why a picture gets its answer, for those who ask.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>

#include "apps/media/image.h"
#include "apps/report/confidence.h"
#include "weights/load_model.h"

namespace pila {

// Holds the model only once somebody has asked. For any number of threads.
class Explainer {
 public:
  explicit Explainer(std::filesystem::path model) : file_(std::move(model)) {}

  struct Explanation {
    std::vector<float> probabilities;  // by class, at the model's temperature
    bool recognised = true;
    media::Image heat_map;  // the picture, and on it what speaks for the most probable class
  };
  // Throws FileError for a model that cannot be read.
  Explanation explain(const media::Image& picture);
  // The file has changed, or another one stands for it.
  void use(std::filesystem::path model);

 private:
  void load();

  const Context ctx_{Device::cpu(1)};
  std::mutex mutex_;
  std::filesystem::path file_;
  std::unique_ptr<LoadedModel> loaded_;
  Confidence confidence_;
};

}  // namespace pila
