// A model with the names of its classes.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/items/item.h"
#include "apps/media/image.h"
#include "apps/report/confidence.h"
#include "layers/planned_model.h"
#include "weights/load_model.h"

namespace pila {

class Classifier {
 public:
  // How the network is computed.
  struct Options {
    std::string device = "cpu";          // see open_device()
    std::int64_t batch = 8;              // how many images it takes at a time
    int threads = 0;                     // 0: all cores
    std::optional<Precision> precision;  // none: the device and the model decide
    std::optional<double> threshold;     // of the largest probability; none: the model's
    std::vector<std::string> without;    // passes of the plan to leave out
  };

  // labels: a file with a class a line, or empty for what the model says, else for plain numbers. Throws
  // FileError for files that are unfit or do not fit each other, DeviceError for a device that cannot be
  // used, UsageError for a precision that the model or the device does not have, and for unknown passes.
  Classifier(const std::filesystem::path& model, const std::filesystem::path& labels, const Options& options);

  const std::vector<std::string>& classes() const { return classes_; }  // distinct names
  const Preprocessing& preprocessing() const { return loaded_.preprocessing; }
  const std::string& describe() const { return description_; }  // for people, in one line
  std::string explain_plan() const;                             // for people: how a batch is computed
  const std::vector<std::string>& warnings() const { return warnings_; }  // for people, too

  struct Answer {
    std::vector<float> probabilities;  // by class, at the model's temperature
    bool recognised = true;            // false for what the model's thresholds call "others"
    Sighting sighting;
  };
  bool recognises(std::span<const float> probabilities, double familiarity) const;
  struct Answers {
    std::vector<Answer> answers;  // image by image
    double network_ms = 0;        // of all together
  };
  // In two halves, so that a GPU computes while the next images are read: submit() takes up to a batch of
  // preprocessed images one behind the other, collect() gives the answers to those that came first. Throws
  // UsageError out of turn (collect() first where it is full), FileError when the network's answer is not a
  // number.
  std::vector<float> preprocess(const media::Image& image) const;
  bool full() const { return planned_->full(); }
  void submit(std::span<const float> images);
  Answers collect();

 private:
  std::filesystem::path file_;
  Context ctx_;
  const Context host_;  // where pictures are made ready
  std::int64_t batch_;
  LoadedModel loaded_;  // its model goes when the plan stands
  std::string description_;
  std::unique_ptr<PlannedModel> planned_;
  std::deque<std::int64_t> submitted_;  // how many images each time
  Confidence confidence_;
  std::vector<std::string> classes_;
  std::vector<std::string> warnings_;
};

}  // namespace pila
