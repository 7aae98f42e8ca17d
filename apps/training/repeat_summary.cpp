#include "apps/training/repeat_summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "apps/training/run_folder.h"

namespace pila {
namespace {

// The 97.5th percentile of Student's distribution: from a table, then by the first terms of its expansion.
double student_975(std::size_t degrees) {
  constexpr double kTable[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228};
  if (degrees <= std::size(kTable)) return kTable[degrees - 1];
  const double z = 1.959964, n = static_cast<double>(degrees);
  return z + (z * z * z + z) / (4 * n) + (5 * std::pow(z, 5) + 16 * z * z * z + 3 * z) / (96 * n * n);
}

}  // namespace

void RepeatSummary::add(std::uint64_t seed, const Evaluation& evaluation) {
  rows_.push_back({seed, evaluation.images, evaluation.accuracy, evaluation.loss, evaluation.macro.f1});
}

double RepeatSummary::mean() const {
  double sum = 0;
  for (const Row& row : rows_) sum += row.accuracy;
  return sum / static_cast<double>(rows_.size());
}

double RepeatSummary::best() const { return std::ranges::max(rows_, {}, &Row::accuracy).accuracy; }

double RepeatSummary::deviation() const {
  if (rows_.size() < 2) return 0;
  double sum = 0;
  for (const Row& row : rows_) sum += (row.accuracy - mean()) * (row.accuracy - mean());
  return std::sqrt(sum / static_cast<double>(rows_.size() - 1));
}

double RepeatSummary::interval() const {
  if (rows_.size() < 2) return 0;
  return student_975(rows_.size() - 1) * deviation() / std::sqrt(static_cast<double>(rows_.size()));
}

std::string RepeatSummary::text() const {
  return fmt::format(
      "{} repeats: mean accuracy {:.2f}% (95% interval {:.2f} to {:.2f}), best {:.2f}%, standard deviation "
      "{:.2f}",
      rows_.size(), 100 * mean(), 100 * (mean() - interval()), 100 * (mean() + interval()), 100 * best(),
      100 * deviation());
}

void RepeatSummary::write(const std::filesystem::path& file) const {
  std::string text = "seed,images,accuracy,loss,macro_f1\n";
  for (const Row& row : rows_) {
    text += fmt::format("{},{},{},{},{}\n", row.seed, row.images, row.accuracy, row.loss, row.macro_f1);
  }
  write_text_file(file, text);
}

}  // namespace pila
