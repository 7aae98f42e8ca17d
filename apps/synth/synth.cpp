#include "apps/synth/synth.h"

#include <mutex>

#include "apps/core/for_each_index.h"
#include "apps/media/image_writer.h"
#include "apps/synth/draw.h"
#include "apps/synth/folder.h"
#include "apps/synth/photograph.h"
#include "apps/synth/thing.h"
#include "engine/core/error.h"

namespace fs = std::filesystem;

namespace pila::synth {
namespace {

enum Place : std::uint32_t { kSpecimen = 1, kPosition, kPhotograph, kCompression };

void write_picture(const fs::path& folder, const DataSetOptions& options, int k, int i) {
  const Kind& kind = kinds()[static_cast<std::size_t>(k)];
  const int specimen = i / options.images_per_specimen;
  const auto draws = [&](int number, Place place) {
    return Random(options.seed, std::int64_t{k} << 32 | number, place);
  };
  const auto thing = kind.make(draws(specimen, kSpecimen), draws(i, kPosition));
  const fs::path place = folder / kind.name / numbered("specimen-%02d", specimen + 1);
  make_folder(place);
  Random compression = draws(i, kCompression);
  media::save_jpeg(photograph(*thing, draws(i, kPhotograph), options.size),
                   place / numbered("%04d.jpg", i + 1), whole(compression, 62, 94));
}

}  // namespace

int most_classes() { return static_cast<int>(kinds().size()); }

void write_data_set(const fs::path& folder, const DataSetOptions& options,
                    const std::function<bool()>& progress) {
  expect_range("classes", options.classes, 2, most_classes());
  expect_range("images of a class", options.images, 1, 100'000);
  expect_range("pixels for the side", options.size, 32, 1024);
  expect_range("images of a specimen", options.images_per_specimen, 1, 100'000);
  make_empty_folder(folder);

  std::mutex mutex;
  const int count = options.classes * options.images;
  for_each_index(static_cast<std::size_t>(count), options.threads, [&](std::size_t index) {
    write_picture(folder, options, static_cast<int>(index) / options.images,
                  static_cast<int>(index) % options.images);
    const std::lock_guard lock(mutex);
    if (!progress()) throw Error("interrupted");
  });
}

}  // namespace pila::synth
