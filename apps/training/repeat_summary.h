// What repeated trainings came to, as BatSort reports it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "apps/report/evaluation.h"

namespace pila {

class RepeatSummary {
 public:
  void add(std::uint64_t seed, const Evaluation& evaluation);

  double mean() const;  // of the accuracies
  double best() const;
  double deviation() const;  // sample standard deviation; 0 for fewer than two
  // Half the width of the mean's 95% interval, by Student's distribution; 0 for fewer than two.
  double interval() const;

  std::string text() const;  // for people, in one line
  // seed, images, accuracy, loss and macro F1, a line for each. Throws FileError.
  void write(const std::filesystem::path& file) const;

 private:
  struct Row {
    std::uint64_t seed;
    std::int64_t images;
    double accuracy, loss, macro_f1;
  };
  std::vector<Row> rows_;
};

}  // namespace pila
