// A source that is read on a thread of its own, since reading may block for ever.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "apps/capture/frame_reader.h"
#include "apps/capture/frame_source.h"

namespace pila {

enum class StreamKind {
  stills,     // what cannot be read is skipped
  recording,  // ends
  live,       // newest frame only; opened anew when it is lost
  address     // a recording if it says how many frames it has, else live
};

struct StreamPlan {
  std::string name;  // what messages begin with
  StreamKind kind = StreamKind::recording;
  OpenReader open;
  std::function<void(media::Image&)> adjust;     // every frame; throws UsageError for one that does not fit
  std::function<void(const std::string&)> note;  // see SourceOptions
  bool pace = false;
  int loop = 1;
  using Seconds = std::chrono::duration<double>;
  Seconds opening{10}, reading{5};              // at most: until the first frame, and for each other
  Seconds first_pause{0.5}, longest_pause{10};  // between two attempts to open it anew; it doubles
};

// Throws as open_frame_source() does.
std::unique_ptr<FrameSource> start_stream(StreamPlan plan);

}  // namespace pila
