// Reads zip archives, which Keras 3 packs a model into (".keras").
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace pila {

struct ZipEntry {
  std::string name;
  std::uint64_t header = 0;      // where its local header begins
  std::uint64_t compressed = 0;  // bytes in the archive
  std::uint64_t size = 0;        // bytes when unpacked
  std::uint32_t crc = 0;
  unsigned method = 0;  // 0 stored, 8 deflated
};

// The archive's directory. Throws FileError, without the file's name, for what is no whole zip archive;
// archives of 4 GiB and more (ZIP64) are refused.
std::vector<ZipEntry> zip_entries(std::span<const std::byte> archive);

// Unpacks one entry into `write`, piece by piece. Throws FileError when it is damaged, encrypted, or larger
// than its directory entry says.
void unzip(std::span<const std::byte> archive, const ZipEntry& entry,
           const std::function<void(std::span<const std::byte>)>& write);

}  // namespace pila
