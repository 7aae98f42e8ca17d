// The pictures of a report.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "apps/media/image.h"

namespace pila::media {

// counts: [true, predicted], of the classes in their order. Right answers are blue, wrong ones orange, the
// darker the larger their share of the class; recall and precision stand at the edges. `title` is above.
Image confusion_chart(std::span<const std::string> classes, std::span<const std::int64_t> counts,
                      const std::string& title);

// The color of a share of right or of wrong answers in it.
std::array<std::uint8_t, 3> confusion_color(double share, bool right);

struct CalibrationBar {
  double confidence = 0, accuracy = 0, share = 0;  // means within the bar, and its share of all pictures
};
// How often answers of a given probability are right, over how many there are.
Image calibration_chart(std::span<const CalibrationBar> bars, const std::string& title);

// Shares from 0 to 1, ascending. The point at which 95% of the known are kept is marked.
Image roc_chart(std::span<const double> known_rejected, std::span<const double> unknown_rejected,
                double rejected_at_95, const std::string& title);

// A value of each epoch; NaN where there is none.
struct TrainingCurves {
  std::vector<double> epoch, loss, val_loss, accuracy, val_accuracy, learning_rate, stage;
};
Image training_chart(const TrainingCurves& curves);

}  // namespace pila::media
