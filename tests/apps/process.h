// Runs a built program as its users do.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace pila::test {

struct Finished {
  int exit_code = 0;  // 128 + the signal where one ended it; 99 for what a sanitizer reports
  std::string out, err;
};

// Waits for the program. Its stdin is empty; `folder` is where it works (empty: here).
Finished run_program(const std::string& program, const std::vector<std::string>& arguments,
                     const std::filesystem::path& folder = {});

// Like it, with a shell line in which "$0" is the program.
Finished run_shell(const std::string& program, const std::string& line);

// A folder that is gone with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::string read_text(const std::filesystem::path& file);

}  // namespace pila::test
