#include "apps/live/classify_images.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <deque>
#include <memory>

#include "apps/core/command.h"
#include "apps/core/output.h"
#include "apps/core/progress.h"
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

// Classifies one batch while the next is read, and writes the answers in order.
class Work {
 public:
  Work(const ClassifyImagesOptions& options, const StillImages& images, Classifier& classifier,
       Output& output, Progress& progress)
      : options_(options), images_(images), classifier_(classifier), output_(output), progress_(progress) {}

  void submit(std::vector<LoadedImage> batch) {
    std::vector<float> pixels;
    for (const auto& image : batch) pixels.insert(pixels.end(), image.pixels.begin(), image.pixels.end());
    classifier_.submit(pixels);
    submitted_.push_back(std::move(batch));
  }

  // Writes what is known of the batches that came first, until another one can be submitted; with `all`, of
  // all.
  void collect(bool all) {
    while (!submitted_.empty() && (all || classifier_.full())) {
      write(submitted_.front());
      submitted_.pop_front();
    }
  }

  std::int64_t classified() const { return classified_; }

 private:
  void write(const std::vector<LoadedImage>& batch) {
    auto [answers, milliseconds] = classifier_.collect();
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const LoadedImage& image = batch[i];
      const Verdict verdict{.source = images_.files[static_cast<std::size_t>(image.index)].string(),
                            .index = image.index,
                            .probabilities = std::move(answers[i].probabilities),
                            .recognised = answers[i].recognised,
                            .decode_ms = image.decode_ms,
                            .preprocess_ms = image.preprocess_ms,
                            .network_ms = milliseconds / static_cast<double>(batch.size())};
      if (!image.warning.empty()) progress_.note("warning: " + verdict.source + ": " + image.warning);
      output_.write_line(options_.json.empty() ? to_text(verdict, classifier_.classes(), options_.top)
                                               : to_json(verdict, classifier_.classes(), options_.top));
      ++classified_;
    }
    progress_.advance(static_cast<std::int64_t>(batch.size()));
  }

  const ClassifyImagesOptions& options_;
  const StillImages& images_;
  Classifier& classifier_;
  Output& output_;
  Progress& progress_;
  std::deque<std::vector<LoadedImage>> submitted_;
  std::int64_t classified_ = 0;
};

}  // namespace

int classify_images(const ClassifyImagesOptions& options) {
  const auto output = open_output(options.json);
  const StillImages images = find_images(options.source);
  if (images.files.empty())
    throw FileError(options.source.string() + ": a picture is expected, and there is none");
  Classifier::Options network = options.network;
  network.batch = std::min(network.batch, static_cast<std::int64_t>(images.files.size()));
  Classifier classifier(options.model, options.labels, network);

  const bool results_on_terminal =
      (options.json.empty() || options.json == "-") && isatty(STDOUT_FILENO) != 0;
  Progress progress("images", static_cast<std::int64_t>(images.files.size()), !results_on_terminal);
  progress.note(classifier.describe());
  for (const auto& warning : classifier.warnings()) progress.note("warning: " + warning);
  if (options.explain_plan) progress.note(classifier.explain_plan());

  std::int64_t skipped = 0;
  const auto batch_size = static_cast<std::size_t>(network.batch);
  ImageLoader loader(images.files, classifier.preprocessing(), options.max_pixels, batch_size);
  Work work(options, images, classifier, *output, progress);
  for (bool more = true; more;) {
    auto batch = next_batch(loader, batch_size, progress, skipped);
    if (interrupted()) throw Error("interrupted after " + counts(work.classified(), skipped, 0));
    more = !batch.empty();
    if (more) work.submit(std::move(batch));
    work.collect(!more);
  }
  if (work.classified() == 0)
    throw FileError(options.source.string() + ": no picture could be read (" +
                    counts(0, skipped, images.other_files) + ")");
  output->finish();
  progress.note(counts(work.classified(), skipped, images.other_files));
  return kDone;
}

}  // namespace pila
