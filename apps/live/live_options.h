// pila-live's command line.
#pragma once

#include <string>

#include "apps/live/classify_images.h"
#include "apps/live/stream_options.h"

namespace CLI {
class App;
}

namespace pila {

struct LiveOptions {
  ClassifyImagesOptions images;  // what both have in common is set here
  StreamOptions stream;
};

// Adds all options; `options` has to live as long as the app.
void add_live_options(CLI::App& app, LiveOptions& options);

// Whether the source is still images, and not a stream. Sets what both have in common for the stream, too.
// Throws UsageError for options that the kind does not have.
bool settle_live_options(const CLI::App& app, LiveOptions& options);

}  // namespace pila
