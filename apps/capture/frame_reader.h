// One opening of a source of frames.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "apps/media/image.h"

namespace pila {

// For one thread.
class FrameReader {
 public:
  virtual ~FrameReader() = default;
  // Goes on to the next frame; false at the end, or where the source is lost. May block for ever.
  virtual bool grab() = 0;
  // Decodes what was grabbed. Throws FileError when that cannot be done.
  virtual media::Image retrieve() = 0;
  // Of what was grabbed: its place in time by the source's own clock, and its name, where it has them.
  virtual std::optional<double> seconds() const { return {}; }
  virtual std::string name() const { return {}; }
  virtual double fps() const { return 0; }          // 0 where it is not known
  virtual std::int64_t total() const { return 0; }  // frames; 0 where it is not known
};

// Throws FileError when it cannot be opened. May block for ever.
using OpenReader = std::function<std::unique_ptr<FrameReader>()>;

}  // namespace pila
