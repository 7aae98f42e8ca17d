// The file, all numbers little-endian and 8 bytes long unless said otherwise, texts as length and bytes:
//
//   "PILACKPT", the format (1), the file's whole length
//   how many values, and for each: its name, its text
//   how many arrays, and for each: its name, its type ("float32"), its rank and extents, its elements
//   CRC-32 of all of this (4 bytes)
#include "weights/checkpoint.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <fstream>
#include <span>
#include <string_view>

#include "engine/core/error.h"
#include "weights/atomic_file.h"
#include "weights/byte_reader.h"
#include "weights/text.h"

namespace pila {
namespace {

static_assert(std::endian::native == std::endian::little, "the file is written as it lies in memory");

constexpr std::string_view kSignature = "PILACKPT";
constexpr std::uint64_t kFormat = 1;
constexpr std::size_t kHeader = kSignature.size() + 2 * sizeof(std::uint64_t);
constexpr std::size_t kTrailer = sizeof(std::uint32_t);
constexpr std::uint64_t kLargest = std::uint64_t{8} << 30;
constexpr DType kTypes[] = {DType::f32, DType::f64, DType::f16, DType::bf16,
                            DType::u8,  DType::i32, DType::i64};

// Calls function(T{}) with the C++ type of `type`.
template <class Function>
void with_type(DType type, const Function& function) {
  switch (type) {
    case DType::f32:
      return function(float{});
    case DType::f64:
      return function(double{});
    case DType::f16:
      return function(kernels::Float16{});
    case DType::bf16:
      return function(kernels::BFloat16{});
    case DType::u8:
      return function(std::uint8_t{});
    case DType::i32:
      return function(std::int32_t{});
    case DType::i64:
      return function(std::int64_t{});
  }
}

std::size_t bytes_of(const TensorSpec& spec) {
  return static_cast<std::size_t>(spec.shape.elements()) * size_of(spec.type);
}

std::uint32_t checksum(std::span<const std::byte> bytes) {
  return static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<z_size_t>(bytes.size())));
}

class Writer {
 public:
  explicit Writer(std::size_t expected) { bytes_.reserve(expected); }
  void raw(const void* data, std::size_t size) {
    const auto* from = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), from, from + size);
  }
  void number(std::uint64_t value) { raw(&value, sizeof value); }
  void text(std::string_view value) {
    number(value.size());
    raw(value.data(), value.size());
  }
  std::vector<std::byte>& bytes() { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

std::vector<std::byte> format(const Checkpoint& checkpoint) {
  std::size_t expected = 1 << 16;
  for (const auto& [name, array] : checkpoint.arrays) {
    expected += array.bytes.size() + name.size() + 128;
  }
  Writer out(expected);
  out.raw(kSignature.data(), kSignature.size());
  out.number(kFormat);
  out.number(0);  // the length, when it is known
  out.number(checkpoint.values.size());
  for (const auto& [name, value] : checkpoint.values) {
    out.text(name);
    out.text(value);
  }
  out.number(checkpoint.arrays.size());
  for (const auto& [name, array] : checkpoint.arrays) {
    if (array.bytes.size() != bytes_of(array.spec)) {
      throw UsageError("[save_checkpoint] expected " + std::to_string(bytes_of(array.spec)) + " bytes for " +
                       array.spec.to_string() + ", got " + std::to_string(array.bytes.size()));
    }
    out.text(name);
    out.text(to_string(array.spec.type));
    out.number(static_cast<std::uint64_t>(array.spec.shape.rank()));
    for (const std::int64_t extent : array.spec.shape.extents()) {
      out.number(static_cast<std::uint64_t>(extent));
    }
    out.raw(array.bytes.data(), array.bytes.size());
  }
  const std::uint64_t length = out.bytes().size() + kTrailer;
  std::memcpy(out.bytes().data() + kHeader - sizeof length, &length, sizeof length);
  const std::uint32_t crc = checksum(out.bytes());
  out.raw(&crc, sizeof crc);
  return std::move(out.bytes());
}

TensorSpec read_spec(ByteReader& in) {
  const std::string name = in.text();
  TensorSpec spec;
  const auto type = std::ranges::find_if(kTypes, [&](DType known) { return to_string(known) == name; });
  if (type == std::end(kTypes)) {
    throw FileError("holds an array of " + in_quotes(name));
  }
  spec.type = *type;
  const std::uint64_t rank = in.number();
  if (rank > static_cast<std::uint64_t>(Shape::kMaxRank)) {
    throw FileError("holds an array of rank " + std::to_string(rank));
  }
  std::array<std::int64_t, Shape::kMaxRank> extents{};
  for (std::uint64_t axis = 0; axis < rank; ++axis) {
    extents[axis] = static_cast<std::int64_t>(in.number());
  }
  spec.shape = Shape(std::span<const std::int64_t>(extents.data(), rank));
  return spec;
}

Checkpoint parse(ByteReader in) {
  Checkpoint checkpoint;
  for (std::uint64_t count = in.number(); count > 0; --count) {
    std::string name = in.text();
    checkpoint.values[std::move(name)] = in.text();
  }
  for (std::uint64_t count = in.number(); count > 0; --count) {
    const std::string name = in.text();
    const TensorSpec spec = read_spec(in);
    const auto bytes = in.take(bytes_of(spec));
    checkpoint.arrays[name] = {spec, {bytes.begin(), bytes.end()}};
  }
  if (!in.at_end()) {
    throw FileError("has more than it should");
  }
  return checkpoint;
}

// The whole content: an absent or endless file is none.
std::vector<std::byte> read_all(const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error)) {
    throw FileError(error || !std::filesystem::exists(file, error) ? "does not exist"
                                                                   : "is not a regular file");
  }
  const std::uint64_t size = std::filesystem::file_size(file, error);
  std::ifstream stream(file, std::ios::binary);
  if (error || !stream) {
    throw FileError("cannot be opened");
  }
  if (size > kLargest) {
    throw FileError("has " + std::to_string(size) + " bytes, expected at most 8 GiB");
  }
  std::vector<std::byte> bytes(size);
  if (!stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size))) {
    throw FileError("cannot be read");
  }
  return bytes;
}

Checkpoint read_checkpoint(const std::filesystem::path& file) {
  const std::vector<std::byte> bytes = read_all(file);
  const std::string_view beginning(reinterpret_cast<const char*>(bytes.data()),
                                   std::min(bytes.size(), kSignature.size()));
  if (bytes.empty() || !kSignature.starts_with(beginning)) {
    throw FileError("not a checkpoint of Pila");
  }
  if (bytes.size() < kHeader + kTrailer) {
    throw FileError("is cut off: " + std::to_string(bytes.size()) + " bytes");
  }
  ByteReader header{std::span(bytes).subspan(kSignature.size())};
  if (const std::uint64_t format = header.number(); format > kFormat) {
    throw FileError("made by a newer version of Pila: format " + std::to_string(format) +
                    ", this program reads " + std::to_string(kFormat));
  }
  const std::uint64_t length = header.number();
  if (length > bytes.size()) {
    throw FileError("is cut off: expected " + std::to_string(length) + " bytes, got " +
                    std::to_string(bytes.size()));
  }
  const auto content = std::span(bytes).first(bytes.size() - kTrailer);
  std::uint32_t expected;
  std::memcpy(&expected, bytes.data() + content.size(), sizeof expected);
  if (length != bytes.size() || checksum(content) != expected) {
    throw FileError("is damaged: its checksum does not fit");
  }
  return parse(ByteReader{content.subspan(kHeader)});
}

template <class Map>
const auto& find(const Map& map, const std::string& name) {
  const auto found = map.find(name);
  if (found == map.end()) {
    throw FileError("holds no " + in_quotes(name));
  }
  return found->second;
}

template <class Number>
Number parse_number(const std::string& name, const std::string& text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end) {
    throw FileError("expected a number for " + in_quotes(name) + ", got " + in_quotes(text));
  }
  return value;
}

template <class Number>
std::string format_number(Number value) {
  std::array<char, 32> text;
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

}  // namespace

void Checkpoint::put(const Context& ctx, const std::string& name, const Tensor& tensor) {
  HostArray array{tensor.spec(), std::vector<std::byte>(tensor.bytes())};
  with_type(tensor.type(), [&](auto type) {
    const auto elements = tensor.to_vector<decltype(type)>(ctx);
    if (!elements.empty()) std::memcpy(array.bytes.data(), elements.data(), array.bytes.size());
  });
  arrays[name] = std::move(array);
}

void Checkpoint::put_integer(const std::string& name, std::int64_t value) {
  values[name] = format_number(value);
}

void Checkpoint::put_number(const std::string& name, double value) { values[name] = format_number(value); }

void Checkpoint::put_text(const std::string& name, std::string value) { values[name] = std::move(value); }

void Checkpoint::get(const Context& ctx, const std::string& name, const Tensor& tensor) const {
  const HostArray& array = find(arrays, name);
  if (array.spec != tensor.spec() || array.bytes.size() != tensor.bytes()) {
    throw FileError("expected " + tensor.spec().to_string() + " for " + in_quotes(name) + ", got " +
                    array.spec.to_string());
  }
  with_type(tensor.type(), [&](auto type) {
    std::vector<decltype(type)> elements(static_cast<std::size_t>(tensor.shape().elements()));
    if (!elements.empty()) std::memcpy(elements.data(), array.bytes.data(), array.bytes.size());
    tensor.assign(ctx, std::span<const decltype(type)>(elements));
  });
}

std::int64_t Checkpoint::integer(const std::string& name) const {
  return parse_number<std::int64_t>(name, find(values, name));
}

double Checkpoint::number(const std::string& name) const {
  return parse_number<double>(name, find(values, name));
}

const std::string& Checkpoint::text(const std::string& name) const { return find(values, name); }

void save_checkpoint(const std::filesystem::path& file, const Checkpoint& checkpoint) {
  write_atomically(file, format(checkpoint));
}

Checkpoint load_checkpoint(const std::filesystem::path& file) {
  try {
    return read_checkpoint(file);
  } catch (const Error& error) {
    throw FileError(file.string() + ": " + error.what());
  }
}

}  // namespace pila
