// pila-dataset synth: a data set that the program draws itself.
#include "apps/synth/synth.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "apps/core/command.h"
#include "apps/core/progress.h"
#include "apps/dataset/subcommands.h"

namespace pila {
namespace {

struct SynthOptions {
  std::filesystem::path folder;
  synth::DataSetOptions data;
};

int write_synthetic(const SynthOptions& options) {
  Progress progress("pictures", std::int64_t{options.data.classes} * options.data.images, true);
  synth::write_data_set(options.folder, options.data, [&] {
    progress.advance();
    return !interrupted();
  });
  return kDone;
}

}  // namespace

void add_synth(CLI::App& app, Work& work) {
  const auto options = std::make_shared<SynthOptions>();
  CLI::App* command = app.add_subcommand(
      "synth",
      "Draws photograph-like pictures of batteries and electronic waste on a belt, to try Pila out with:\n"
      "DIR/<class>/<specimen>/0001.jpg ...");
  synth::DataSetOptions& data = options->data;
  command->add_option("--out", options->folder, "folder for the pictures: new or empty")
      ->required()
      ->type_name("DIR");
  command->add_option("--classes", data.classes, "how many kinds of things")
      ->check(CLI::Range(2, synth::most_classes()))
      ->capture_default_str()
      ->type_name("K");
  command->add_option("--images", data.images, "pictures of each class")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str()
      ->type_name("N");
  command->add_option("--specimen-images", data.images_per_specimen, "pictures of each specimen")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str()
      ->type_name("N");
  command->add_option("--size", data.size, "side of the pictures in pixels")
      ->check(CLI::Range(32, 1024))
      ->capture_default_str()
      ->type_name("PIXELS");
  command->add_option("--seed", data.seed, "of all that is random")->capture_default_str()->type_name("N");
  command->add_option("--threads", data.threads, "0 for all cores")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str()
      ->type_name("N");
  command->callback([options, &work] { work = [options] { return write_synthetic(*options); }; });
}

}  // namespace pila
