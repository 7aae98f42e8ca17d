#include "engine/core/tensor.h"

#include "engine/core/context.h"
#include "engine/core/error.h"
#include "engine/core/launch.h"

namespace pila {
namespace {

std::uint64_t next_id() {
  static std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

void check_not_tracing(const Context& ctx, const char* what) {
  if (ctx.tracing()) throw UsageError(std::string("[tensor] values cannot be ") + what + " while tracing");
}

}  // namespace

struct Tensor::Impl {
  TensorSpec spec;
  std::uint64_t id = next_id();
  std::shared_ptr<const Storage> storage;  // null: symbolic
  std::size_t offset = 0;                  // of the first value in it, bytes

  Impl(const TensorSpec& s, std::shared_ptr<const Storage> memory, std::size_t from = 0)
      : spec(s), storage(std::move(memory)), offset(from) {}
};

std::size_t TensorSpec::bytes() const { return static_cast<std::size_t>(shape.elements()) * size_of(type); }

std::string TensorSpec::to_string() const { return pila::to_string(type) + shape.to_string(); }

std::string to_string(std::span<const Tensor> tensors) {
  std::string text;
  for (const Tensor& tensor : tensors) {
    if (!text.empty()) text += ", ";
    text += tensor ? tensor.spec().to_string() : "undefined";
  }
  return text;
}

Storage::Storage(std::shared_ptr<Device> device, std::size_t bytes)
    : device_(std::move(device)), block_(device_->allocator().allocate(bytes)) {}

Storage::Storage(std::shared_ptr<Device> device, void* borrowed)
    : device_(std::move(device)), block_{borrowed, 0}, owns_(false) {}

Storage::~Storage() {
  if (owns_) device_->allocator().release(block_);
}

Tensor Tensor::empty(const Context& ctx, const TensorSpec& spec) {
  return Tensor(
      std::make_shared<const Impl>(spec, std::make_shared<const Storage>(ctx.device(), spec.bytes())));
}

Tensor Tensor::zeros(const Context& ctx, const TensorSpec& spec) { return full(ctx, spec, 0); }

Tensor Tensor::full(const Context& ctx, const TensorSpec& spec, double value) {
  Tensor tensor = empty(ctx, spec);
  const std::int64_t count = spec.shape.elements();
  if (count == 0) return tensor;
  kernels::Fill args;
  args.type = spec.type;
  args.count = count;
  args.value = value;
  args.y = tensor.data();
  launch(ctx, "fill", args, {&tensor, 1});
  return tensor;
}

Tensor Tensor::borrow(const Context& ctx, const TensorSpec& spec, void* memory) {
  return Tensor(std::make_shared<const Impl>(spec, std::make_shared<const Storage>(ctx.device(), memory)));
}

Tensor Tensor::symbolic(const TensorSpec& spec) {
  return Tensor(std::make_shared<const Impl>(spec, nullptr));
}

Tensor Tensor::from_bytes(const Context& ctx, const TensorSpec& spec, const void* values, std::size_t count) {
  if (count != static_cast<std::size_t>(spec.shape.elements())) {
    throw ShapeError("[tensor] expected " + std::to_string(spec.shape.elements()) + " values for " +
                     spec.to_string() + ", got " + std::to_string(count));
  }
  Tensor tensor = empty(ctx, spec);
  if (count > 0) ctx.device()->api().upload(tensor.data(), values, tensor.bytes(), ctx.stream());
  return tensor;
}

const TensorSpec& Tensor::spec() const {
  if (!impl_) throw UsageError("[tensor] an undefined tensor has no shape");
  return impl_->spec;
}

std::uint64_t Tensor::id() const { return impl_ ? impl_->id : 0; }

std::size_t Tensor::bytes() const { return spec().bytes(); }

const Storage& Tensor::storage() const {
  if (!impl_) throw UsageError("[tensor] an undefined tensor has no values");
  if (!impl_->storage) {
    throw UsageError("[tensor] " + impl_->spec.to_string() + " is symbolic: it has no values while tracing");
  }
  return *impl_->storage;
}

void* Tensor::data() const { return static_cast<std::byte*>(storage().data()) + impl_->offset; }

bool Tensor::symbolic() const { return impl_ && !impl_->storage; }

const std::shared_ptr<Device>& Tensor::device() const { return storage().device(); }

std::uint64_t Tensor::version() const { return symbolic() ? 0 : storage().version(); }

void Tensor::mark_overwritten() const { storage().mark_overwritten(); }

void Tensor::check_type(DType expected) const {
  if (type() != expected) {
    throw ShapeError("[tensor] expected " + pila::to_string(expected) + " values, got " + spec().to_string());
  }
}

void Tensor::check_single() const {
  if (shape().elements() != 1) {
    throw ShapeError("[tensor] expected a single value, got " + spec().to_string());
  }
}

void Tensor::download(const Context& ctx, void* host) const {
  check_not_tracing(ctx, "read");
  const Storage& memory = storage();
  if (bytes() == 0) return;
  Device& device = *memory.device();
  device.api().download(host, data(), bytes(), device.stream());
}

void Tensor::upload(const Context& ctx, const void* host, std::size_t count) const {
  check_not_tracing(ctx, "assigned");
  if (count != static_cast<std::size_t>(shape().elements())) {
    throw ShapeError("[tensor] expected " + std::to_string(shape().elements()) + " values for " +
                     spec().to_string() + ", got " + std::to_string(count));
  }
  const Storage& memory = storage();
  if (count == 0) return;
  Device& device = *memory.device();
  device.api().upload(data(), host, bytes(), device.stream());
  memory.mark_overwritten();
}

void Tensor::assign(const Context& ctx, const Tensor& values) const {
  check_not_tracing(ctx, "assigned");
  if (!values || spec() != values.spec()) {
    throw ShapeError("[tensor] expected values of " + spec().to_string() + " to assign, got " +
                     to_string({&values, 1}));
  }
  const Storage& to = storage();
  const Storage& from = values.storage();
  if (data() == values.data()) return;
  if (to.device() == from.device()) {
    to.device()->api().copy(data(), values.data(), bytes(), to.device()->stream());
    to.mark_overwritten();
  } else {
    std::vector<std::byte> host(bytes());
    values.download(ctx, host.data());
    upload(ctx, host.data(), static_cast<std::size_t>(shape().elements()));
  }
}

Tensor Tensor::view(const Shape& shape) const {
  if (shape.elements() != spec().shape.elements()) {
    throw ShapeError("[view] expected a shape of " + std::to_string(spec().shape.elements()) +
                     " elements for " + spec().to_string() + ", got " + shape.to_string());
  }
  return Tensor(std::make_shared<const Impl>(TensorSpec{shape, type()}, impl_->storage, impl_->offset));
}

Tensor Tensor::within(std::size_t byte_offset, const TensorSpec& spec) const {
  if (storage().data() == nullptr || byte_offset + spec.bytes() > bytes()) {
    throw UsageError("[tensor] expected " + spec.to_string() + " at byte " + std::to_string(byte_offset) +
                     " to fit into " + this->spec().to_string() + ", and it does not");
  }
  return Tensor(std::make_shared<const Impl>(spec, impl_->storage, impl_->offset + byte_offset));
}

}  // namespace pila
