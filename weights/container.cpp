#include "weights/container.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "engine/core/error.h"
#include "weights/atomic_file.h"
#include "weights/file_kind.h"
#include "weights/hdf5.h"
#include "weights/sandbox.h"
#include "weights/zip.h"

namespace pila {
namespace {

constexpr std::uint64_t kLargestFile = std::uint64_t{2} << 30;
constexpr std::uint64_t kLargestMember = std::uint64_t{512} << 20;
constexpr std::size_t kLargestText = 64 << 20;

[[noreturn]] void fail(const std::string& what) { throw FileError(what + ": " + std::strerror(errno)); }

// A file open for reading.
class InputFile {
 public:
  explicit InputFile(const std::filesystem::path& path)
      : descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (descriptor_ < 0) {
      fail("cannot be opened");
    }
    struct stat status {};
    if (fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
      close(descriptor_);
      throw FileError(S_ISDIR(status.st_mode) ? "is a folder, expected a file" : "is not a regular file");
    }
    bytes_ = static_cast<std::uint64_t>(status.st_size);
  }
  ~InputFile() { close(descriptor_); }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  int descriptor() const { return descriptor_; }
  std::uint64_t bytes() const { return bytes_; }

  std::string beginning() const {
    std::array<char, 512> bytes;
    const ssize_t count = pread(descriptor_, bytes.data(), bytes.size(), 0);
    if (count < 0) {
      fail("cannot be read");
    }
    return {bytes.data(), static_cast<std::size_t>(count)};
  }

 private:
  int descriptor_;
  std::uint64_t bytes_ = 0;
};

// Runs in the child, which ends soon: nothing is given back.
std::span<const std::byte> map(const InputFile& file) {
  void* memory = mmap(nullptr, file.bytes(), PROT_READ, MAP_PRIVATE, file.descriptor(), 0);
  if (memory == MAP_FAILED) {
    fail("cannot be read");
  }
  return {static_cast<const std::byte*>(memory), file.bytes()};
}

void parse_archive(const InputFile& file, TreeEncoder& tree) {
  const auto archive = map(file);
  const auto entries = zip_entries(archive);
  const auto find = [&](std::string_view name) { return std::ranges::find(entries, name, &ZipEntry::name); };
  const auto weights = find("model.weights.h5");
  if (weights == entries.end()) {
    throw FileError("zip archive without model.weights.h5, expected a Keras file");
  }
  const std::pair<std::string, std::string> texts[] = {{"config.json", "model_config"},
                                                       {"metadata.json", "keras_metadata"}};
  for (const auto& [member, attribute] : texts) {
    const auto entry = find(member);
    if (entry == entries.end()) {
      continue;
    }
    if (entry->size > kLargestText) {
      throw FileError("zip archive: " + member + " has more than 64 MiB");
    }
    std::string text;
    unzip(archive, *entry, [&](std::span<const std::byte> piece) {
      text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    });
    tree.attribute("", attribute, TextAttribute::text(text));
  }
  if (weights->size > kLargestText + 64 * file.bytes() || weights->size > kLargestMember) {
    throw FileError("zip archive: model.weights.h5 unpacks to " + std::to_string(weights->size) + " bytes");
  }
  std::vector<std::byte> unpacked;
  unzip(archive, *weights, [&](std::span<const std::byte> piece) {
    unpacked.insert(unpacked.end(), piece.begin(), piece.end());
  });
  if (kind_of({reinterpret_cast<const char*>(unpacked.data()), unpacked.size()}) != FileKind::hdf5) {
    throw FileError("damaged: model.weights.h5 in the archive is not HDF5");
  }
  parse_hdf5(unpacked, tree);
}

void check_size(const InputFile& file) {
  if (file.bytes() == 0) {
    throw FileError("is empty, expected a Keras file (HDF5 or .keras)");
  }
  if (file.bytes() > kLargestFile) {
    throw FileError("has " + std::to_string(file.bytes()) + " bytes, expected at most 2 GiB");
  }
}

// The library runs in circles on some damaged files. A whole one takes a hundredth of this.
SandboxLimits limits_for(std::uint64_t bytes) {
  const auto mebibytes = static_cast<std::chrono::seconds::rep>(bytes >> 20);
  SandboxLimits limits;
  limits.processor = std::chrono::seconds(5 + mebibytes / 16);
  limits.wall = std::chrono::seconds(60 + mebibytes);  // a slow card or network
  return limits;
}

Hdf5Tree read_file(const std::filesystem::path& path) {
  const InputFile file(path);
  check_size(file);
  const FileKind kind = kind_of(file.beginning());
  if (kind != FileKind::hdf5 && kind != FileKind::zip) {
    throw FileError("not a Keras file: expected HDF5 or a .keras archive, found " + describe(kind));
  }
  const SandboxResult result = run_in_sandbox(
      [&](const SandboxWrite& write) {
        TreeEncoder tree(write);
        try {
          if (kind == FileKind::zip) {
            parse_archive(file, tree);
          } else {
            parse_hdf5(file.descriptor(), file.bytes(), tree);
          }
          tree.end();
        } catch (const FileError& error) {
          tree.fail(error.what());
        }
      },
      limits_for(file.bytes()));
  if (!result.failure.empty()) {
    throw FileError("damaged: the HDF5 library " + result.failure + " while reading it");
  }
  return decode_tree(result.output);
}

}  // namespace

Hdf5Tree read_container(const std::filesystem::path& file) {
  try {
    return read_file(file);
  } catch (const FileError& error) {
    throw FileError(file.string() + ": " + error.what());
  }
}

void write_container(const std::filesystem::path& file, const Hdf5Tree& tree) {
  std::string failure;
  const SandboxResult result = run_in_sandbox([&](const SandboxWrite& write) {
    const std::vector<std::byte> image = format_hdf5(tree);
    write(image.data(), image.size());
  });
  if (!result.failure.empty()) {
    throw FileError(file.string() + ": the HDF5 library " + result.failure + " while writing it");
  }
  write_atomically(file, result.output);
}

}  // namespace pila
