#include "apps/report/tensorboard.h"

#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>
#include <string_view>

#include "engine/core/error.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

// CRC-32C (Castagnoli), the lowest bit first.
constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0x82F63B78u : 0);
    table[i] = value;
  }
  return table;
}

// TFRecord stores checksums rotated and shifted, so that a checksum of data with checksums in it means
// something.
std::uint32_t masked_crc(std::string_view data) {
  static constexpr auto kTable = make_crc_table();
  std::uint32_t crc = ~0u;
  for (const char c : data) crc = (crc >> 8) ^ kTable[(crc ^ static_cast<unsigned char>(c)) & 0xFF];
  return std::rotr(~crc, 15) + 0xA282EAD8u;
}

template <class T>
void append_little_endian(std::string& text, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) text += static_cast<char>(value >> (8 * i) & 0xFF);
}

// Protocol buffers: a field is its number and wire type, then the value.
enum WireType { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void append_varint(std::string& text, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) text += static_cast<char>(value | 0x80);
  text += static_cast<char>(value);
}
void append_tag(std::string& text, std::uint32_t field, WireType type) {
  append_varint(text, field << 3 | type);
}
void append_bytes(std::string& text, std::uint32_t field, std::string_view value) {
  append_tag(text, field, kBytes);
  append_varint(text, value.size());
  text += value;
}

// The fields of TensorFlow's event.proto and summary.proto.
std::string event_start(double wall_time) {
  std::string event;
  append_tag(event, 1, kFixed64);  // Event.wall_time
  append_little_endian(event, std::bit_cast<std::uint64_t>(wall_time));
  return event;
}

std::string version_event(double wall_time) {
  std::string event = event_start(wall_time);
  append_bytes(event, 3, "brain.Event:2");  // Event.file_version
  return event;
}

std::string scalar_event(const std::string& tag, std::int64_t step, float value, double wall_time) {
  std::string entry;
  append_bytes(entry, 1, tag);     // Summary.Value.tag
  append_tag(entry, 2, kFixed32);  // Summary.Value.simple_value
  append_little_endian(entry, std::bit_cast<std::uint32_t>(value));
  std::string summary;
  append_bytes(summary, 1, entry);  // Summary.value
  std::string event = event_start(wall_time);
  append_tag(event, 2, kVarint);  // Event.step
  append_varint(event, static_cast<std::uint64_t>(step));
  append_bytes(event, 5, summary);  // Event.summary
  return event;
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 && name[0] != '\0' ? name.data() : "localhost";
}

fs::path unused_name(const fs::path& folder, double wall_time) {
  const std::string name =
      "events.out.tfevents." + std::to_string(static_cast<std::int64_t>(wall_time)) + "." + host_name();
  fs::path file = folder / name;
  for (int i = 1; fs::exists(file); ++i) file = folder / (name + "." + std::to_string(i));
  return file;
}

}  // namespace

EventWriter::EventWriter(const fs::path& folder) {
  const double wall_time = now();
  try {
    file_ = unused_name(folder, wall_time);
  } catch (const fs::filesystem_error& error) {
    throw FileError(folder.string() + ": " + error.code().message());
  }
  stream_.open(file_, std::ios::binary);
  write_record(version_event(wall_time));
}

void EventWriter::add_scalar(const std::string& tag, std::int64_t step, float value, double wall_time) {
  write_record(scalar_event(tag, step, value, wall_time < 0 ? now() : wall_time));
}

void EventWriter::write_record(const std::string& data) {
  std::string record;
  append_little_endian(record, std::uint64_t{data.size()});
  append_little_endian(record, masked_crc(record));
  record += data;
  append_little_endian(record, masked_crc(data));
  stream_.write(record.data(), static_cast<std::streamsize>(record.size()));
  stream_.flush();
  if (!stream_) throw FileError(file_.string() + ": cannot be written");
}

}  // namespace pila
