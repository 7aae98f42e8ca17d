#include "apps/capture/readers.h"

#include <utility>

#include "apps/data/still_images.h"
#include "engine/core/error.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

class StillsReader final : public FrameReader {
 public:
  explicit StillsReader(const fs::path& source) : files_(find_images(source).files) {
    if (files_.empty()) throw FileError(source.string() + ": no images in this folder");
  }
  bool grab() override { return ++grabbed_ <= files_.size(); }
  media::Image retrieve() override { return media::load_image(file()); }
  std::string name() const override { return file().string(); }
  std::int64_t total() const override { return static_cast<std::int64_t>(files_.size()); }

 private:
  const fs::path& file() const { return files_[grabbed_ - 1]; }

  std::vector<fs::path> files_;
  std::size_t grabbed_ = 0;
};

class VideoFrames final : public FrameReader {
 public:
  VideoFrames(std::string name, media::VideoReader video)
      : name_(std::move(name)), video_(std::move(video)) {}
  bool grab() override { return video_.grab(); }
  media::Image retrieve() override {
    media::Image image;
    if (!video_.retrieve(image)) throw FileError(name_ + ": a frame cannot be decoded");
    return image;
  }
  std::optional<double> seconds() const override { return video_.position_s(); }
  double fps() const override { return video_.fps(); }
  std::int64_t total() const override { return video_.frames(); }

 private:
  std::string name_;
  media::VideoReader video_;
};

}  // namespace

OpenReader stills_reader(const fs::path& source) {
  return [source] { return std::make_unique<StillsReader>(source); };
}

OpenReader video_reader(const std::string& name, std::function<media::VideoReader()> open) {
  return [name, open = std::move(open)] { return std::make_unique<VideoFrames>(name, open()); };
}

}  // namespace pila
