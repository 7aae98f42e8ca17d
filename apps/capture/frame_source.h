// Where frames come from: files, cameras, streams of the network.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "apps/capture/frame.h"

namespace pila {

// In pixels of the picture as it is when turned; nothing in it means all of it.
struct Region {
  std::int64_t x = 0, y = 0, width = 0, height = 0;
};

struct SourceOptions {
  // An image, a folder of images, a video file, camera:N or /dev/videoN, csi://N, rtsp://..., http://...,
  // or gst:PIPELINE, a pipeline of GStreamer that ends in an appsink.
  std::string uri;
  int width = 0, height = 0;  // asked of a camera, both or none; 0: its own choice, as for all below
  double fps = 0;
  std::optional<double> exposure, focus,
      white_balance;     // fixed values in the camera's units; none: automatic
  double timeout_s = 5;  // without a frame from a live source, then it is opened anew
  Region region;
  int rotate = 0;  // degrees clockwise: 0, 90, 180 or 270; then it is flipped, then the region cut out
  bool flip_x = false, flip_y = false;
  bool pace =
      false;  // give a file's frames at the rate at which they were taken, dropping those that come too late
  int loop = 1;  // how often a file or folder is played; 0: for ever
  // Takes what a person should know, a line at a time: what is skipped, a camera that is lost and found
  // again. Called from within open_frame_source() and next().
  std::function<void(const std::string&)> note;
};

// Frames in order. For one thread at a time, but for stop().
class FrameSource {
 public:
  struct Counts {
    std::int64_t frames = 0;      // handed out
    std::int64_t dropped = 0;     // not taken in time from a live or paced source
    std::int64_t skipped = 0;     // still images that cannot be read
    std::int64_t reconnects = 0;  // times that a live source was lost, and had to be opened anew
  };

  virtual ~FrameSource() = default;
  // Waits for the next frame; none when the source has ended or stop() was called. A live source that fails
  // is opened anew until it is back or stop() is called. Else throws Error, the source first, when it fails.
  virtual std::optional<Frame> next() = 0;
  // From any thread: a next() under way returns soon, without a frame.
  virtual void stop() = 0;
  virtual bool live() const = 0;           // frames come by the clock: cameras, and files that are paced
  virtual double fps() const = 0;          // 0 where it is not known
  virtual std::int64_t total() const = 0;  // frames; 0 where it is not known
  virtual Counts counts() const = 0;
  virtual std::string describe() const = 0;  // for people, in one line
};

// Waits for the first frame. Throws UsageError for a URI that is none of the kinds above, options that the
// kind does not have, and a region that reaches outside of the picture; FileError for a source that cannot be
// opened, or gives no frame in good time.
std::unique_ptr<FrameSource> open_frame_source(const SourceOptions& options);

}  // namespace pila
