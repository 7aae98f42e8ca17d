#include "weights/tree_codec.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "engine/core/error.h"
#include "weights/byte_reader.h"

namespace pila {
namespace {

// A stream is a header and records: a tag, then numbers (8 bytes) and texts (length, bytes).
constexpr std::string_view kTreeHeader = "PILATREE1";
constexpr char kGroup = 'G', kAttribute = 'A', kFloats = 'F', kDoubles = 'D', kOther = 'O', kEnd = 'E',
               kFailure = '!';
constexpr std::uint64_t kMaxRank = 8;

char read_tag(ByteReader& in) { return static_cast<char>(in.take(1)[0]); }

std::vector<std::int64_t> read_shape(ByteReader& in) {
  const std::uint64_t rank = in.number();
  if (rank > kMaxRank) {
    throw FileError("holds an array of rank " + std::to_string(rank));
  }
  std::vector<std::int64_t> shape(rank);
  for (auto& extent : shape) {
    extent = static_cast<std::int64_t>(in.number());
  }
  return shape;
}

template <class T>
std::vector<T> read_values(ByteReader& in, const std::vector<std::int64_t>& shape) {
  std::uint64_t count = 1;
  for (const std::int64_t extent : shape) {
    if (extent < 0 || __builtin_mul_overflow(count, static_cast<std::uint64_t>(extent), &count)) {
      throw FileError("holds an array of impossible shape");
    }
  }
  std::uint64_t size;
  if (__builtin_mul_overflow(count, sizeof(T), &size)) {
    throw FileError("holds an array of impossible shape");
  }
  const auto bytes = in.take(size);
  std::vector<T> values(count);
  if (!bytes.empty()) {
    std::memcpy(values.data(), bytes.data(), bytes.size());
  }
  return values;
}

void add_array(Hdf5Tree& tree, ByteReader& in, char tag) {
  const std::string path = in.text();
  Array array;
  array.shape = read_shape(in);
  if (tag == kFloats) {
    array.values = read_values<float>(in, array.shape);
  } else if (tag == kDoubles) {
    array.values = read_values<double>(in, array.shape);
  } else {
    array.other_type = in.text();
  }
  if (!tree.arrays.emplace(path, std::move(array)).second) {
    throw FileError("holds two arrays of the same name");
  }
}

void add_attribute(Hdf5Tree& tree, ByteReader& in) {
  const std::string group = in.text();
  const std::string name = in.text();
  TextAttribute attribute;
  attribute.scalar = in.number() != 0;
  for (std::uint64_t count = in.number(); count > 0; --count) {
    attribute.values.push_back(in.text());
  }
  if (attribute.scalar && attribute.values.size() != 1) {
    throw FileError("holds a damaged attribute");
  }
  tree.groups[group].insert_or_assign(name, std::move(attribute));
}

}  // namespace

TreeEncoder::TreeEncoder(Write write) : write_(std::move(write)) {
  write_(kTreeHeader.data(), kTreeHeader.size());
}

void TreeEncoder::tag(char value) { write_(&value, 1); }

void TreeEncoder::number(std::uint64_t value) { write_(&value, sizeof value); }

void TreeEncoder::text(const std::string& value) {
  number(value.size());
  write_(value.data(), value.size());
}

void TreeEncoder::group(const std::string& path) {
  tag(kGroup);
  text(path);
}

void TreeEncoder::attribute(const std::string& group_path, const std::string& name,
                            const TextAttribute& attribute) {
  tag(kAttribute);
  text(group_path);
  text(name);
  number(attribute.scalar);
  number(attribute.values.size());
  for (const std::string& value : attribute.values) {
    text(value);
  }
}

void TreeEncoder::array(const std::string& path, const Array& array) {
  const bool is_double = std::holds_alternative<std::vector<double>>(array.values);
  tag(!array.other_type.empty() ? kOther : is_double ? kDoubles : kFloats);
  text(path);
  number(array.shape.size());
  for (const std::int64_t extent : array.shape) {
    number(static_cast<std::uint64_t>(extent));
  }
  if (!array.other_type.empty()) {
    text(array.other_type);
    return;
  }
  std::visit([&](const auto& values) { write_(values.data(), values.size() * sizeof(values[0])); },
             array.values);
}

void TreeEncoder::end() { tag(kEnd); }

void TreeEncoder::fail(const std::string& reason) {
  tag(kFailure);
  text(reason);
}

void encode(const Hdf5Tree& tree, TreeEncoder& encoder) {
  for (const auto& [path, attributes] : tree.groups) {
    encoder.group(path);
    for (const auto& [name, attribute] : attributes) {
      encoder.attribute(path, name, attribute);
    }
  }
  for (const auto& [path, array] : tree.arrays) {
    encoder.array(path, array);
  }
  encoder.end();
}

Hdf5Tree decode_tree(std::span<const std::byte> bytes) {
  ByteReader in(bytes);
  if (!std::ranges::equal(in.take(kTreeHeader.size()), std::as_bytes(std::span(kTreeHeader)))) {
    throw FileError("the data that was read from it is damaged");
  }
  Hdf5Tree tree;
  while (true) {
    switch (const char tag = read_tag(in)) {
      case kGroup:
        tree.groups.try_emplace(in.text());
        break;
      case kAttribute:
        add_attribute(tree, in);
        break;
      case kFloats:
      case kDoubles:
      case kOther:
        add_array(tree, in, tag);
        break;
      case kEnd:
        if (!in.at_end()) {
          throw FileError("the data that was read from it has more than it should");
        }
        return tree;
      case kFailure:
        throw FileError(in.text());
      default:
        throw FileError("the data that was read from it is damaged");
    }
  }
}

}  // namespace pila
