// The course of a training, an epoch a line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace pila {

// Pictures of the course know these keys: "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate" and
// "stage" (a number); others are kept as they are.
struct MetricRow {
  std::int64_t epoch = 0;
  std::map<std::string, double> values;
};

// Keras' CSVLogger: "epoch" and the first row's keys, sorted; "NA" for a value that a later row lacks.
class MetricsCsv {
 public:
  // Keeps the rows of an existing file that lie before `first_epoch`: what a killed run wrote after its last
  // checkpoint is dropped, a half line too. Throws FileError.
  explicit MetricsCsv(std::filesystem::path file, std::int64_t first_epoch = 0);

  // The row is on disk when this returns. Throws FileError, and UsageError for a key that the first row
  // lacks.
  void append(const MetricRow& row);
  const std::vector<MetricRow>& rows() const { return rows_; }

 private:
  std::filesystem::path file_;
  std::vector<std::string> keys_;
  std::vector<MetricRow> rows_;
};

// Throws FileError, the file's name and the line first, for what is no such table; a last line without an end
// is dropped.
std::vector<MetricRow> read_metrics_csv(const std::filesystem::path& file);

}  // namespace pila
