// Decoder libraries write to stderr what they think of a file; this keeps it out of people's sight.
#pragma once

#include <mutex>
#include <string>

namespace pila::media {

// From construction to finish(), what the whole process writes to file descriptor 2 lands here. One capture
// at a time: another one waits.
class StderrCapture {
 public:
  StderrCapture();
  ~StderrCapture();
  StderrCapture(const StderrCapture&) = delete;
  StderrCapture& operator=(const StderrCapture&) = delete;

  // Ends the capture and returns its first 4096 bytes.
  std::string finish();

 private:
  std::unique_lock<std::mutex> lock_;
  int saved_ = -1;
  int file_ = -1;
};

}  // namespace pila::media
