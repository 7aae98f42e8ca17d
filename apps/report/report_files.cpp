#include "apps/report/report_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <span>
#include <system_error>

#include "apps/media/canvas.h"
#include "apps/media/charts.h"
#include "apps/media/contact_sheet.h"
#include "apps/media/image_writer.h"
#include "apps/report/mistakes.h"
#include "engine/core/error.h"
#include "weights/atomic_file.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

void write_text(const fs::path& file, const std::string& text) {
  write_atomically(file, std::as_bytes(std::span(text)));
}

void write_confusion(const fs::path& file, const Evaluation& evaluation) {
  media::save_png(media::confusion_chart(evaluation.class_names, evaluation.confusion,
                                         fmt::format("Accuracy {:.2f}% of {} pictures",
                                                     evaluation.accuracy * 100, evaluation.images)),
                  file);
}

void write_calibration(const fs::path& file, const Evaluation& evaluation) {
  std::vector<media::CalibrationBar> bars;
  for (const CalibrationBin& bin : evaluation.calibration) {
    bars.push_back({bin.confidence, bin.accuracy,
                    static_cast<double>(bin.images) / static_cast<double>(evaluation.images)});
  }
  media::save_png(media::calibration_chart(bars, fmt::format("Expected calibration error {:.2f}%",
                                                             evaluation.calibration_error * 100)),
                  file);
}

// The picture, small enough that many fit into memory; nothing where it cannot be read any more.
media::Image thumbnail(const fs::path& file, int size) {
  media::Image image;
  try {
    image = media::load_image(file);
  } catch (const FileError&) {
    return image;
  }
  media::Canvas canvas(size, size);
  canvas.picture(image, {0, 0, static_cast<double>(size), static_cast<double>(size)});
  return canvas.finish();
}

void write_mistakes(const fs::path& file, const Predictions& predictions, double temperature) {
  constexpr std::size_t kMost = 48;
  constexpr int kColumns = 6, kTileSize = 200;
  auto mistakes = find_mistakes(predictions, temperature);
  if (mistakes.empty()) {
    std::error_code ignored;
    fs::remove(file, ignored);  // of an earlier report
    return;
  }
  mistakes.resize(std::min(mistakes.size(), kMost));
  std::vector<media::Tile> tiles;
  for (const Mistake& mistake : mistakes) {
    const auto at = static_cast<std::size_t>(mistake.image);
    const auto& label = predictions.classes[static_cast<std::size_t>(mistake.label)];
    const auto& seen = predictions.classes[static_cast<std::size_t>(mistake.predicted)];
    media::Tile tile;
    tile.image = thumbnail(predictions.files[at], kTileSize);
    tile.caption =
        fmt::format("is {}\nseen as {} {:.0f}% ({:.0f}%)\n{}", label, seen, mistake.probability * 100,
                    mistake.label_probability * 100, fs::path(predictions.files[at]).filename().string());
    tiles.push_back(std::move(tile));
  }
  media::save_png(media::contact_sheet(tiles, kColumns, kTileSize), file);
}

void write_roc(const fs::path& file, const UnknownEvaluation& unknown) {
  media::save_png(
      media::roc_chart(
          unknown.roc.known_rejected, unknown.roc.unknown_rejected, unknown.rejected_at_95,
          fmt::format("Unknown pictures: area {:.3f} by {}", unknown.roc.area, name_of(unknown.score))),
      file);
}

}  // namespace

void write_report(const fs::path& folder, const Evaluation& evaluation, const Predictions& predictions) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw FileError(folder.string() + ": " + error.message());
  write_text(folder / "report.json", report_json(evaluation, predictions));
  write_text(folder / "report.txt", report_text(evaluation));
  write_confusion(folder / "confusion.png", evaluation);
  write_calibration(folder / "calibration.png", evaluation);
  write_mistakes(folder / "misclassified.png", predictions, evaluation.confidence.temperature);
  if (evaluation.unknown) write_roc(folder / "roc.png", *evaluation.unknown);
}

void write_curves(const fs::path& file, const std::vector<MetricRow>& rows) {
  media::TrainingCurves curves;
  for (const MetricRow& row : rows) {
    const auto value = [&](const char* key) {
      const auto found = row.values.find(key);
      return found == row.values.end() ? std::numeric_limits<double>::quiet_NaN() : found->second;
    };
    curves.epoch.push_back(static_cast<double>(row.epoch));
    curves.loss.push_back(value("loss"));
    curves.val_loss.push_back(value("val_loss"));
    curves.accuracy.push_back(value("accuracy"));
    curves.val_accuracy.push_back(value("val_accuracy"));
    curves.learning_rate.push_back(value("learning_rate"));
    curves.stage.push_back(value("stage"));
  }
  media::save_png(media::training_chart(curves), file);
}

}  // namespace pila
