// pila-live: classifies what a source shows.
#include <CLI/CLI.hpp>

#include "apps/core/command.h"
#include "apps/core/device.h"
#include "apps/core/precision.h"
#include "apps/live/classify_images.h"
#include "apps/media/image.h"

int main(int argc, char** argv) {
  CLI::App app("Classifies images with a Keras model: one line for each image, sorted by path.", "pila-live");
  pila::ClassifyImagesOptions options;
  options.max_pixels = pila::media::kDefaultMaxPixels;
  app.add_option("--model", options.model, "Keras HDF5 file: a whole model, or weights of a known network")
      ->required()
      ->type_name("FILE");
  app.add_option("--labels", options.labels, "names of the classes, one a line, in the model's order")
      ->type_name("FILE");
  app.add_option("--source", options.source, "an image, or a folder that is searched with all below it")
      ->required()
      ->type_name("IMAGE|DIR");
  app.add_option("--json", options.json, "write JSON lines to FILE, or to standard output (-)")
      ->type_name("FILE|-");
  app.add_option("--top", options.top, "how many classes are listed (in JSON: of more than 50)")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str()
      ->type_name("K");
  app.add_option("--batch", options.network.batch, "how many images the network takes at a time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str()
      ->type_name("N");
  app.add_option("--threads", options.network.threads,
                 "threads of the network on the processor, 0 for all cores")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str()
      ->type_name("N");
  pila::add_device_option(app, options.network.device);
  pila::add_precision_option(app, options.network.precision);
  app.add_flag("--explain-plan", options.explain_plan,
               "print how the network is computed: passes, operations, shapes, bytes, kernels");
  app.add_option("--without-pass", options.network.without,
                 "leave a pass of the plan out, by its name in --explain-plan")
      ->expected(1)
      ->take_all()
      ->type_name("PASS");
  app.add_option("--max-pixels", options.max_pixels, "skip larger images")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 30))
      ->capture_default_str()
      ->type_name("N");
  app.footer(
      "Results go to standard output, all else to standard error.\n"
      "Images that cannot be read are reported and skipped.\n"
      "Exit code: 0 done, 1 failed (also when no image could be read), 2 wrong usage.");
  return pila::run_command(app, argc, argv, [&] { return classify_images(options); });
}
