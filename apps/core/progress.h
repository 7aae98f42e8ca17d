// How far a command is, for people, on stderr.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace pila {

// On a terminal a bar with rate and time left, rewritten in place; else a plain line every ten seconds.
// It speaks through a copy of stderr that it takes at its making: while a decoder is kept quiet, what the
// process writes to stderr itself is lost.
class Progress {
 public:
  // `unit` is what is counted: "images". With `bar` false there is none on a terminal either, as when
  // results go to the same terminal. A silent one, of a process that leaves it to another to speak, says
  // nothing.
  Progress(std::string unit, std::int64_t total, bool bar, bool silent = false);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void set_total(std::int64_t total) { total_ = total; }
  void advance(std::int64_t count = 1);
  // Prints a line of its own.
  void note(const std::string& line);

  // "123/288 images [####----] 45.2/s, 0:03 left".
  static std::string describe(const std::string& unit, std::int64_t done, std::int64_t total, double seconds);

 private:
  using Clock = std::chrono::steady_clock;
  void draw();
  void clear();
  void write(const std::string& text) const;

  int stream_;
  std::string unit_;
  std::int64_t total_, done_ = 0;
  bool bar_, terminal_;
  Clock::time_point start_, last_;
};

}  // namespace pila
