#include "apps/media/video_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>
#include <vector>

#include "apps/media/load_modules.h"
#include "apps/media/stderr_capture.h"
#include "apps/media/video.h"
#include "engine/core/error.h"

namespace fs = std::filesystem;

namespace pila::media {
namespace {

class FileVideoWriter final : public VideoWriter {
 public:
  FileVideoWriter(const fs::path& file, std::int64_t width, std::int64_t height, double fps)
      : file_(file), beside_(file), width_(width), height_(height) {
    const std::string ending = file.extension().string();
    if (ending != ".mp4" && ending != ".avi")
      throw UsageError(file.string() + ": a video's name ends in .mp4 or .avi");
    constexpr std::int64_t kLeast = 2, kMost = 16384;
    constexpr double kSlowest = 0.01, kFastest = 1000;
    if (std::min(width, height) < kLeast || std::max(width, height) > kMost ||
        !(fps >= kSlowest && fps <= kFastest)) {
      throw UsageError(
          file.string() +
          ": a video of 2 to 16384 pixels a side and 0.01 to 1000 frames a second is expected, got " +
          std::to_string(width) + " x " + std::to_string(height) + " and " + std::to_string(fps));
    }
    // The libraries take the kind from the ending.
    beside_.replace_extension(".part-" + std::to_string(getpid()) + ending);
    claim();
    const std::vector<const char*> codecs =
        ending == ".avi" ? std::vector{"MJPG"} : std::vector{"avc1", "mp4v"};
    const VideoModule& module = load_video_module();
    const StderrCapture quiet(StderrCapture::Company::shared);  // encoders introduce themselves
    for (std::size_t i = 0; i < codecs.size() && raw_ == nullptr; ++i) {
      raw_ =
          module.create(beside_.c_str(), codecs[i], static_cast<int>(width), static_cast<int>(height), fps);
    }
    if (raw_ == nullptr) {
      remove();
      fail("OpenCV has no encoder for " + ending + " files here");
    }
  }

  ~FileVideoWriter() override {
    if (raw_ != nullptr) raw_->release();
    remove();
  }

  void write(const Image& image) override {
    if (image.width != width_ || image.height != height_) {
      throw ShapeError(file_.string() + ": frames of " + size_text(width_, height_) + " are expected, got " +
                       size_text(image.width, image.height));
    }
    if (raw_ == nullptr) throw UsageError(file_.string() + ": is finished already");
    check_room();
    if (!raw_->write(image.pixels.data())) fail("cannot be written: the encoder failed");
    ++frames_;
  }

  // The libraries don't say whether they could write: what is there is read again.
  void finish() override {
    if (raw_ == nullptr) return;
    raw_->release();
    raw_ = nullptr;
    if (frames_ == 0) fail("has no frames, and is not written");
    const int descriptor = open(beside_.c_str(), O_RDONLY | O_CLOEXEC);
    const bool on_disk = descriptor >= 0 && fsync(descriptor) == 0;
    const int reason = errno;
    if (descriptor >= 0) close(descriptor);
    if (!on_disk) fail(std::string("cannot be written: ") + std::strerror(reason));
    if (frames_on_disk() != frames_) fail("cannot be written: not all of it came to lie on the disk");
    std::error_code error;
    fs::rename(beside_, file_, error);
    if (error) fail("cannot be put in its place: " + error.message());
  }

 private:
  static std::string size_text(std::int64_t width, std::int64_t height) {
    return std::to_string(width) + " x " + std::to_string(height) + " pixels";
  }
  [[noreturn]] void fail(const std::string& why) const { throw FileError(file_.string() + ": " + why); }

  // So that a folder that is missing or forbidden is told from an encoder that is.
  void claim() const {
    const int descriptor = open(beside_.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0666);
    if (descriptor < 0) fail(std::string("cannot be created: ") + std::strerror(errno));
    close(descriptor);
  }

  void check_room() const {
    constexpr std::uintmax_t kLeastBytes = 4 << 20;
    constexpr std::int64_t kEvery = 32;
    if (frames_ % kEvery != 0) return;
    std::error_code error;
    const auto room = fs::space(beside_, error);
    if (!error && room.available < kLeastBytes) fail("cannot be written: the disk is full");
  }

  std::int64_t frames_on_disk() const {
    try {
      return VideoReader(beside_).frames();
    } catch (const FileError&) {
      return 0;
    }
  }

  void remove() const {
    std::error_code ignored;
    fs::remove(beside_, ignored);
  }

  fs::path file_, beside_;
  std::int64_t width_, height_, frames_ = 0;
  RawVideoWriter* raw_ = nullptr;
};

}  // namespace

std::unique_ptr<VideoWriter> create_video(const fs::path& file, std::int64_t width, std::int64_t height,
                                          double fps) {
  return std::make_unique<FileVideoWriter>(file, width, height, fps);
}

}  // namespace pila::media
