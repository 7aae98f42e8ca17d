// All images of a data set, decoded once, at the network's size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "apps/data/near_duplicates.h"

namespace pila {

// What is known of an image file that was decoded once.
struct ImageInfo {
  std::int64_t width = 0, height = 0;  // upright, before it was stretched
  std::string format;                  // "JPEG"
  std::string digest;                  // MD5 of the file's bytes; empty when they cannot be read
  PerceptualHash hash;
  std::string warning;  // what a person should know of the file; mostly empty
};

struct ImageFailure {
  std::size_t index;   // of the file
  std::string reason;  // the file's name first
};

// How those who wait for a long reading are told of it; both may be empty.
struct ReadingHooks {
  std::function<void(std::size_t done)> progress;  // after each file, by one thread at a time
  std::function<bool()> stop;                      // asked before each file, by several threads at once
};

class ImageCache {
 public:
  // Reads every file on `threads` threads (0: one for each core), stretched to height x width as preprocess()
  // does and rounded to 8 bits. The first of them that fit into max_bytes are kept, the others are decoded
  // again whenever they are wanted. Files that cannot be read become failures. Throws Error("interrupted")
  // when the hook says stop, UsageError for sizes below 1.
  ImageCache(std::vector<std::filesystem::path> files, std::int64_t height, std::int64_t width,
             std::size_t max_bytes, int threads, const ReadingHooks& hooks = {});

  const std::vector<std::filesystem::path>& files() const { return files_; }
  std::int64_t height() const { return height_; }
  std::int64_t width() const { return width_; }
  std::size_t image_bytes() const { return static_cast<std::size_t>(height_ * width_) * 3; }
  std::size_t kept() const { return kept_; }  // how many files' places are in memory

  // By index of the file, ascending.
  const std::vector<ImageFailure>& failures() const { return failures_; }
  bool readable(std::size_t index) const;
  const ImageInfo& info(std::size_t index) const { return infos_.at(index); }

  // The image's [height, width, 3] RGB pixels; the same bits at every call, from any thread. Throws
  // UsageError for an unreadable file, FileError for one that has changed or gone since.
  void read(std::size_t index, std::uint8_t* pixels) const;

 private:
  void load_all(int threads, const ReadingHooks& hooks);
  void load(std::size_t index);

  std::vector<std::filesystem::path> files_;
  std::int64_t height_, width_;
  std::size_t kept_ = 0;
  std::unique_ptr<std::uint8_t[]> pixels_;
  std::vector<ImageInfo> infos_;
  std::vector<ImageFailure> failures_;
};

// Tells whether images, their order and their labels are the same as they were: 32 hexadecimal digits. Where
// the files lie does not count.
std::string data_fingerprint(const ImageCache& cache, std::span<const std::int32_t> labels);

}  // namespace pila
