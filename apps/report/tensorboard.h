// Scalars for TensorBoard.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

namespace pila {

// An event file: TFRecords that hold Event protocol buffers.
class EventWriter {
 public:
  // Makes "events.out.tfevents.<seconds>.<host>" in the folder, or with a number behind it where there is one
  // already: a resumed run adds a file, and TensorBoard shows them as one. Throws FileError.
  explicit EventWriter(const std::filesystem::path& folder);

  // The value is in the file when this returns. wall_time: seconds since 1970, negative for now. Throws
  // FileError.
  void add_scalar(const std::string& tag, std::int64_t step, float value, double wall_time = -1);
  const std::filesystem::path& file() const { return file_; }

 private:
  void write_record(const std::string& data);

  std::filesystem::path file_;
  std::ofstream stream_;
};

}  // namespace pila
