#include "weights/zip.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <memory>

#include "engine/core/error.h"
#include "weights/text.h"

namespace pila {
namespace {

// PKWARE's APPNOTE: sections 4.3.7 (local header), 4.3.12 (directory entry), 4.3.16 (end of directory).
constexpr std::uint32_t kLocalHeader = 0x04034B50, kDirectoryEntry = 0x02014B50, kEndOfDirectory = 0x06054B50;
constexpr std::size_t kLocalHeaderBytes = 30, kDirectoryEntryBytes = 46, kEndOfDirectoryBytes = 22;
constexpr std::size_t kLongestComment = 0xFFFF;
constexpr std::uint32_t kEncrypted = 1, kIsZip64 = 0xFFFFFFFF;

std::span<const std::byte> part(std::span<const std::byte> bytes, std::uint64_t offset, std::uint64_t count) {
  if (offset > bytes.size() || count > bytes.size() - offset) {
    throw FileError("damaged zip archive: it ends too early");
  }
  return bytes.subspan(offset, count);
}

std::uint32_t number(std::span<const std::byte> bytes, std::size_t offset, std::size_t width) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < width; ++i) {
    value |= std::to_integer<std::uint32_t>(bytes[offset + i]) << (8 * i);
  }
  return value;
}

std::span<const std::byte> end_of_directory(std::span<const std::byte> archive) {
  if (archive.size() < kEndOfDirectoryBytes) {
    throw FileError("damaged zip archive: it ends too early");
  }
  const std::size_t last = archive.size() - kEndOfDirectoryBytes;
  for (std::size_t back = 0; back <= std::min(last, kLongestComment); ++back) {
    if (number(archive, last - back, 4) == kEndOfDirectory) {
      return archive.subspan(last - back, kEndOfDirectoryBytes);
    }
  }
  throw FileError("damaged zip archive: it has no directory");
}

}  // namespace

std::vector<ZipEntry> zip_entries(std::span<const std::byte> archive) {
  const auto end = end_of_directory(archive);
  const std::uint32_t count = number(end, 10, 2);
  std::uint64_t offset = number(end, 16, 4);
  std::vector<ZipEntry> entries;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto fixed = part(archive, offset, kDirectoryEntryBytes);
    if (number(fixed, 0, 4) != kDirectoryEntry) {
      throw FileError("damaged zip archive: its directory is broken");
    }
    const std::uint32_t name_bytes = number(fixed, 28, 2);
    const auto name = part(archive, offset + kDirectoryEntryBytes, name_bytes);
    ZipEntry entry;
    entry.name.assign(reinterpret_cast<const char*>(name.data()), name.size());
    entry.crc = number(fixed, 16, 4);
    entry.compressed = number(fixed, 20, 4);
    entry.size = number(fixed, 24, 4);
    entry.header = number(fixed, 42, 4);
    // An encrypted entry is given a method of its own, so that unzip() refuses it like an unknown one.
    entry.method = (number(fixed, 8, 2) & kEncrypted) != 0 ? ~0u : number(fixed, 10, 2);
    if (entry.compressed == kIsZip64 || entry.size == kIsZip64 || entry.header == kIsZip64) {
      throw FileError("zip archive of 4 GiB or more: not supported");
    }
    offset += kDirectoryEntryBytes + name_bytes + number(fixed, 30, 2) + number(fixed, 32, 2);
    entries.push_back(std::move(entry));
  }
  return entries;
}

void unzip(std::span<const std::byte> archive, const ZipEntry& entry,
           const std::function<void(std::span<const std::byte>)>& write) {
  const auto local = part(archive, entry.header, kLocalHeaderBytes);
  if (number(local, 0, 4) != kLocalHeader) {
    throw FileError("damaged zip archive: " + in_quotes(entry.name) + " is not where the directory says");
  }
  const std::uint64_t begin = entry.header + kLocalHeaderBytes + number(local, 26, 2) + number(local, 28, 2);
  const auto packed = part(archive, begin, entry.compressed);
  std::uint64_t size = 0;
  uLong crc = crc32(0, nullptr, 0);
  const auto emit = [&](std::span<const std::byte> bytes) {
    size += bytes.size();
    if (size > entry.size) {
      throw FileError("damaged zip archive: " + in_quotes(entry.name) + " is larger than the directory says");
    }
    crc = crc32_z(crc, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
    write(bytes);
  };
  if (entry.method == 0) {
    emit(packed);
  } else if (entry.method == Z_DEFLATED) {
    z_stream stream{};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) {
      throw FileError("cannot unpack " + in_quotes(entry.name) + ": zlib did not start");
    }
    const std::unique_ptr<z_stream, int (*)(z_streamp)> closer(&stream, inflateEnd);
    stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(packed.data()));
    stream.avail_in = static_cast<uInt>(packed.size());
    std::array<std::byte, 1 << 16> block;
    int status = Z_OK;
    while (status == Z_OK) {
      stream.next_out = reinterpret_cast<Bytef*>(block.data());
      stream.avail_out = block.size();
      status = inflate(&stream, Z_NO_FLUSH);
      emit(std::span(block).first(block.size() - stream.avail_out));
    }
    if (status != Z_STREAM_END) {
      throw FileError("damaged zip archive: " + in_quotes(entry.name) + " cannot be unpacked");
    }
  } else {
    throw FileError("zip archive: " + in_quotes(entry.name) + " is encrypted or packed in an unknown way");
  }
  if (size != entry.size || crc != entry.crc) {
    throw FileError("damaged zip archive: " + in_quotes(entry.name) + " fails its checksum");
  }
}

}  // namespace pila
