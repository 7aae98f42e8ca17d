#include "apps/live/classify_images.h"

#include <unistd.h>

#include <cstdio>
#include <memory>

#include "apps/core/command.h"
#include "apps/core/output.h"
#include "apps/core/progress.h"
#include "apps/core/stopwatch.h"
#include "apps/core/verdict.h"
#include "apps/data/image_loader.h"
#include "apps/data/still_images.h"
#include "engine/core/error.h"

namespace pila {
namespace {

// Takes up to `count` readable images from the loader; the others are reported.
std::vector<LoadedImage> next_batch(ImageLoader& loader, std::size_t count, Progress& progress,
                                    std::int64_t& skipped) {
  std::vector<LoadedImage> batch;
  LoadedImage image;
  while (batch.size() < count && !interrupted() && loader.next(image)) {
    if (!image.error.empty()) {
      progress.note("skipped: " + image.error);
      progress.advance();
      ++skipped;
      continue;
    }
    batch.push_back(std::move(image));
  }
  return batch;
}

std::unique_ptr<Output> open_output(const std::string& json) {
  return json.empty() || json == "-" ? std::make_unique<Output>() : std::make_unique<Output>(json);
}

std::string counts(std::int64_t classified, std::int64_t skipped, std::int64_t other_files) {
  std::string text = std::to_string(classified) + (classified == 1 ? " image" : " images") + " classified, " +
                     std::to_string(skipped) + " skipped";
  if (other_files > 0) text += ", " + std::to_string(other_files) + " other files passed over";
  return text;
}

}  // namespace

int classify_images(const ClassifyImagesOptions& options) {
  const auto output = open_output(options.json);
  const StillImages images = find_images(options.source);
  if (images.files.empty())
    throw FileError(options.source.string() + ": a picture is expected, and there is none");
  const Classifier classifier(options.model, options.labels, options.network);

  const bool results_on_terminal =
      (options.json.empty() || options.json == "-") && isatty(STDOUT_FILENO) != 0;
  Progress progress("images", static_cast<std::int64_t>(images.files.size()), !results_on_terminal);
  progress.note(classifier.describe());
  for (const auto& warning : classifier.warnings()) progress.note("warning: " + warning);
  if (options.explain_plan) progress.note(classifier.explain_plan());

  std::int64_t classified = 0, skipped = 0;
  ImageLoader loader(images.files, classifier.preprocessing(), options.max_pixels, options.batch);
  for (;;) {
    auto batch = next_batch(loader, options.batch, progress, skipped);
    if (interrupted()) throw Error("interrupted after " + counts(classified, skipped, 0));
    if (batch.empty()) break;
    std::vector<float> pixels;
    for (const auto& image : batch) pixels.insert(pixels.end(), image.pixels.begin(), image.pixels.end());
    const auto count = static_cast<std::int64_t>(batch.size());
    Stopwatch watch;
    auto answers = classifier.classify(pixels, count);
    const double network_ms = watch.lap_ms() / static_cast<double>(count);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const LoadedImage& image = batch[i];
      const Verdict verdict{.source = images.files[static_cast<std::size_t>(image.index)].string(),
                            .index = image.index,
                            .probabilities = std::move(answers[i].probabilities),
                            .recognised = answers[i].recognised,
                            .decode_ms = image.decode_ms,
                            .preprocess_ms = image.preprocess_ms,
                            .network_ms = network_ms};
      if (!image.warning.empty()) progress.note("warning: " + verdict.source + ": " + image.warning);
      output->write_line(options.json.empty() ? to_text(verdict, classifier.classes(), options.top)
                                              : to_json(verdict, classifier.classes(), options.top));
      ++classified;
    }
    progress.advance(count);
  }
  if (classified == 0)
    throw FileError(options.source.string() + ": no picture could be read (" +
                    counts(0, skipped, images.other_files) + ")");
  output->finish();
  progress.note(counts(classified, skipped, images.other_files));
  return kDone;
}

}  // namespace pila
