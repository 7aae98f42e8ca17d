// Fixtures and folders for the tests of weights/.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/error.h"
#include "weights/zip.h"

namespace pila::test {

inline std::filesystem::path fixture(const std::string& name) {
  return std::filesystem::path(PILA_SOURCE_DIR) / "tests" / "weights" / "fixtures" / name;
}

// A folder of its own for one test, gone with it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::path(testing::TempDir()) / "pila-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw FileError(name + ": cannot be made");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline std::string read_bytes(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

inline void write_bytes(const std::filesystem::path& file, std::string_view bytes) {
  std::ofstream(file, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// The larger fixtures are packed: unpacks one into the folder. Those of Keras 2 begin with "keras2".
inline std::filesystem::path unpack(const std::string& name, const TemporaryFolder& folder) {
  const char* archive_name = name.starts_with("keras2") ? "keras2.zip" : "mobilenet_v2_035_96.zip";
  const std::string archive = read_bytes(fixture(archive_name));
  const auto bytes = std::as_bytes(std::span(archive));
  for (const ZipEntry& entry : zip_entries(bytes)) {
    if (entry.name == name) {
      std::ofstream stream(folder / name, std::ios::binary);
      unzip(bytes, entry, [&](std::span<const std::byte> piece) {
        stream.write(reinterpret_cast<const char*>(piece.data()), static_cast<std::streamsize>(piece.size()));
      });
    }
  }
  return folder / name;
}

// What make_fixtures.py fills every weight with: numbers that "layer/weight" decides.
inline std::vector<float> pattern(const std::string& name, std::size_t count) {
  const auto* bytes = reinterpret_cast<const Bytef*>(name.data());
  const double base = static_cast<double>(crc32(0, bytes, static_cast<uInt>(name.size())) % 997) / 997 + 0.5;
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>(base + static_cast<double>(i % 13) * 0.01);
  }
  return values;
}

// The message of the FileError that the call throws; a failure and "" when it throws none or spans lines.
template <class Call>
std::string file_error(const Call& call) {
  try {
    call();
  } catch (const FileError& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_LT(message.size(), 2000u) << message;
    return message;
  }
  ADD_FAILURE() << "expected a FileError";
  return {};
}

}  // namespace pila::test
