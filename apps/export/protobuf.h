// The wire format of Protocol Buffers, as far as writing ONNX takes it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pila {

// A message under construction. Fields are written in the order of the calls; calling again for a field makes
// it repeated. Numbers of fields are the schema's.
class ProtobufMessage {
 public:
  void add_integer(int field, std::int64_t value);  // int32, int64, enum
  void add_float(int field, float value);
  void add_bytes(int field, std::string_view value);  // string, bytes
  void add_message(int field, const ProtobufMessage& message) { add_bytes(field, message.bytes_); }

  const std::string& bytes() const { return bytes_; }

 private:
  void append_varint(std::uint64_t value);
  void append_key(int field, int wire_type);

  std::string bytes_;
};

}  // namespace pila
