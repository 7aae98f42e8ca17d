// A dense, row-major array on a device.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/core/device.h"
#include "engine/core/dtype.h"
#include "engine/core/shape.h"

namespace pila {

class Context;

// What is known of a tensor before it has values.
struct TensorSpec {
  Shape shape;
  DType type = DType::f32;
  bool operator==(const TensorSpec&) const = default;
  std::size_t bytes() const;
  std::string to_string() const;  // "float32[32, 7, 7, 1280]"
};

// A block of device memory, given back with its last owner.
class Storage {
 public:
  Storage(std::shared_ptr<Device> device, std::size_t bytes);  // throws DeviceError
  // The device's memory that somebody else owns.
  Storage(std::shared_ptr<Device> device, void* borrowed);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  void* data() const { return block_.memory; }
  const std::shared_ptr<Device>& device() const { return device_; }
  // How often the values were overwritten in place.
  std::uint64_t version() const { return version_.load(std::memory_order_relaxed); }
  void mark_overwritten() const { version_.fetch_add(1, std::memory_order_relaxed); }

 private:
  std::shared_ptr<Device> device_;
  Allocator::Block block_;
  bool owns_ = true;
  mutable std::atomic<std::uint64_t> version_{0};
};

// A handle: copies share the same values and the same identity. Images are NHWC.
class Tensor {
 public:
  Tensor() = default;  // undefined

  static Tensor empty(const Context& ctx, const TensorSpec& spec);  // values are unspecified
  static Tensor zeros(const Context& ctx, const TensorSpec& spec);
  static Tensor full(const Context& ctx, const TensorSpec& spec, double value);
  // Copies host values; throws ShapeError when their number is not the shape's.
  template <class T>
  static Tensor from(const Context& ctx, const Shape& shape, std::span<const T> values) {
    return from_bytes(ctx, {shape, dtype_of<T>}, values.data(), values.size());
  }
  template <class T>
  static Tensor from(const Context& ctx, const Shape& shape, const std::vector<T>& values) {
    return from(ctx, shape, std::span<const T>(values));
  }
  // A tensor in device memory that somebody else owns, and keeps for as long.
  static Tensor borrow(const Context& ctx, const TensorSpec& spec, void* memory);
  // A tensor without memory, as tracing hands out.
  static Tensor symbolic(const TensorSpec& spec);

  bool defined() const { return impl_ != nullptr; }
  explicit operator bool() const { return defined(); }
  const Shape& shape() const { return spec().shape; }
  DType type() const { return spec().type; }
  const TensorSpec& spec() const;
  // Unique to this tensor among all of the process; 0 for an undefined one.
  std::uint64_t id() const;
  std::size_t bytes() const;

  // The values' address on the device; throws UsageError for an undefined or symbolic tensor.
  void* data() const;
  template <class T>
  T* data_as() const {
    check_type(dtype_of<T>);
    return static_cast<T*>(data());
  }
  bool symbolic() const;
  const std::shared_ptr<Device>& device() const;  // throws UsageError for an undefined or symbolic tensor

  // How often the values were overwritten in place, through this tensor or another view of its memory.
  // Whoever writes through data() says so with mark_overwritten(), so that a tape can tell.
  std::uint64_t version() const;
  void mark_overwritten() const;

  // The values on the host. Throws UsageError while tracing, ShapeError for another type (ops::cast changes
  // it: 16-bit floats are read on the host by way of float32).
  template <class T>
  std::vector<T> to_vector(const Context& ctx) const {
    check_type(dtype_of<T>);
    std::vector<T> values(static_cast<std::size_t>(shape().elements()));
    download(ctx, values.data());
    return values;
  }
  template <class T>
  T item(const Context& ctx) const {  // the only value; throws ShapeError for any other number
    check_single();
    return to_vector<T>(ctx)[0];
  }
  // Overwrites the values with those of another tensor (of any device) or of the host; throws ShapeError when
  // shape or type differ, UsageError while tracing.
  void assign(const Context& ctx, const Tensor& values) const;
  template <class T>
  void assign(const Context& ctx, std::span<const T> values) const {
    check_type(dtype_of<T>);
    upload(ctx, values.data(), values.size());
  }

  // The same values and memory in another shape, as a tensor of its own; ops::reshape records it. Throws
  // ShapeError when the number of elements differs.
  Tensor view(const Shape& shape) const;
  // A tensor of its own in a part of this one's memory. Throws UsageError where it does not fit.
  Tensor within(std::size_t byte_offset, const TensorSpec& spec) const;

 private:
  struct Impl;
  explicit Tensor(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  static Tensor from_bytes(const Context& ctx, const TensorSpec& spec, const void* values, std::size_t count);
  const Storage& storage() const;
  void check_type(DType type) const;
  void check_single() const;
  void download(const Context& ctx, void* host) const;
  void upload(const Context& ctx, const void* host, std::size_t count) const;

  std::shared_ptr<const Impl> impl_;
};

// "float32[2, 3], int32[2]", for messages.
std::string to_string(std::span<const Tensor> tensors);

}  // namespace pila
