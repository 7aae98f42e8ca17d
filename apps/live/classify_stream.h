// pila-live on a stream: frames in, one verdict for each item out, until the stream ends or a signal comes.
#pragma once

#include "apps/live/stream_options.h"

namespace pila {

// Returns the exit code; throws what ends the work.
int classify_stream(const StreamOptions& options);

}  // namespace pila
