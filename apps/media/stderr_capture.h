// Decoder libraries write to stderr what they think of a file; this keeps it out of people's sight.
#pragma once

#include <sys/types.h>
#include <string>

namespace pila::media {

// From construction to finish(), what the whole process writes to file descriptor 2 lands here.
class StderrCapture {
 public:
  enum class Company {
    alone,  // waits until no other capture is under way, and lets none begin: what comes is the caller's
    shared  // together with others that share, each of which gets what comes meanwhile, from whomever
  };
  explicit StderrCapture(Company company = Company::alone);
  ~StderrCapture();
  StderrCapture(const StderrCapture&) = delete;
  StderrCapture& operator=(const StderrCapture&) = delete;

  // Ends the capture and returns its first 4096 bytes.
  std::string finish();

 private:
  const Company company_;
  off_t begin_ = 0;
  bool finished_ = false;
};

}  // namespace pila::media
