// pila-live: classifies what a source shows.
#include <CLI/CLI.hpp>

#include "apps/core/command.h"
#include "apps/live/classify_images.h"
#include "apps/live/classify_stream.h"
#include "apps/live/live_options.h"
#include "apps/media/image.h"

int main(int argc, char** argv) {
  CLI::App app(
      "Classifies what a source shows: a line for each image, or for each item that goes by under a camera.",
      "pila-live");
  pila::LiveOptions options;
  options.images.max_pixels = pila::media::kDefaultMaxPixels;
  pila::add_live_options(app, options);
  app.footer(
      "Results go to standard output, all else to standard error.\n"
      "Images that cannot be read are reported and skipped. A stream ends with its file, or by Ctrl-C.\n"
      "Exit code: 0 done, 1 failed (also when no image could be read), 2 wrong usage.");
  return pila::run_command(app, argc, argv, [&] {
    return pila::settle_live_options(app, options) ? classify_images(options.images)
                                                   : classify_stream(options.stream);
  });
}
