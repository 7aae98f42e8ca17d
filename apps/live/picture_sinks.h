// The stream as a person sees it: with what was decided drawn on it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "apps/core/alarms.h"
#include "apps/core/background_worker.h"
#include "apps/live/sink.h"
#include "apps/media/video_writer.h"
#include "apps/media/window.h"

namespace pila {

// The frame with the item in it marked, its answer above, and the latest verdict below.
media::Image annotated(const FrameReport& report, const std::string& latest_verdict);

// An annotated video, written behind the caller's back. Of a live stream, frames that the encoder has no time
// for are left out; what cannot be written is an alarm.
class VideoSink : public Sink {
 public:
  // fps: of the source; 0 where it is not known.
  VideoSink(std::filesystem::path file, double fps, bool live, Alarms& alarms);
  void frame(const FrameReport& report) override;
  void item(const ItemReport& report) override;
  void finish() override;

 private:
  void write(const media::Image& image);

  const std::filesystem::path file_;
  const double fps_;
  const bool live_;
  Alarms& alarms_;
  std::string latest_verdict_;
  std::unique_ptr<media::VideoWriter> writer_;
  bool failed_ = false;  // of the worker's alone
  BackgroundWorker worker_;
};

// `closed` is called when a person closes the window.
class WindowSink : public Sink {
 public:
  WindowSink(const std::string& title, std::function<void()> closed);
  void frame(const FrameReport& report) override;
  void item(const ItemReport& report) override;

 private:
  media::Window window_;
  const std::function<void()> closed_;
  std::string latest_verdict_;
};

}  // namespace pila
