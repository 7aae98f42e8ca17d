// Reports as files: for people, for programs, and as pictures.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "apps/report/evaluation.h"
#include "apps/report/metrics_csv.h"
#include "apps/report/predictions.h"

namespace pila {

// A table of the classes (precision, recall, F1-score, images), accuracy with its interval, averages, and
// what is known of confidence and unknowns.
std::string report_text(const Evaluation& evaluation);

// One JSON object: accuracy, loss, classes {name: {precision, recall, f1, images}}, macro, weighted,
// confusion [true][predicted], calibration_error, unknown (null without), and more; with `predictions` also
// a list of them: file, label, predicted.
std::string report_json(const Evaluation& evaluation, const Predictions& predictions = {});

// report.json, report.txt, confusion.png, calibration.png, misclassified.png (where something is) and, with
// unknowns, roc.png. The pictures of mistakes are read from predictions.files. Throws FileError.
void write_report(const std::filesystem::path& folder, const Evaluation& evaluation,
                  const Predictions& predictions);

// Loss, accuracy and learning rate over the epochs; stages are marked. Throws FileError.
void write_curves(const std::filesystem::path& file, const std::vector<MetricRow>& rows);

}  // namespace pila
