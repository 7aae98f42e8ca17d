// Reads and preprocesses pictures on a thread of its own, ahead of the network and in order.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "layers/preprocessing.h"

namespace pila {

struct LoadedImage {
  std::int64_t index = 0;     // in the list of files
  std::vector<float> pixels;  // preprocessed [height, width, 3]; empty when there was an error
  std::string error, warning;
  double decode_ms = 0, preprocess_ms = 0;
};

class ImageLoader {
 public:
  // At most `ahead` images wait; they are of the network's size, however large the pictures were.
  ImageLoader(std::vector<std::filesystem::path> files, const Preprocessing& preprocessing,
              std::int64_t max_pixels, std::size_t ahead);
  ~ImageLoader();  // stops after the picture at hand
  ImageLoader(const ImageLoader&) = delete;
  ImageLoader& operator=(const ImageLoader&) = delete;

  // Waits for the next image, in the files' order; false after the last one.
  bool next(LoadedImage& image);

 private:
  void work();
  LoadedImage load(std::int64_t index) const;

  const std::vector<std::filesystem::path> files_;
  const Preprocessing preprocessing_;
  const std::int64_t max_pixels_;
  const std::size_t ahead_;
  const Context ctx_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<LoadedImage> waiting_;
  bool stopped_ = false;
  std::size_t handed_out_ = 0;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace pila
