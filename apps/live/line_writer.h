// Lines that somebody reads while they are written.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace pila {

class LineWriter {
 public:
  virtual ~LineWriter() = default;
  // Throws FileError when it cannot be handed over.
  virtual void write_line(std::string_view line) = 0;
};

// "-": standard output. tcp://host:port: whoever listens there; a connection that is lost is made anew when
// the next line comes, and never waited for longer than a second. Anything else is a file, which is begun
// anew. Throws FileError for a file that cannot be written, UsageError for an unfit address.
std::unique_ptr<LineWriter> open_lines(const std::string& target);

}  // namespace pila
