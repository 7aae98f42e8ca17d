#include "tests/simt/memory.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>

#include "tests/support/guarded_buffer.h"

namespace pila::simt {
namespace {

using Buffer = test::GuardedBuffer<std::byte>;

std::mutex mutex;
std::map<const std::byte*, Buffer>& allocations() {
  static std::map<const std::byte*, Buffer> instance;
  return instance;
}

void check_guards(const Buffer& buffer) {
  if (const auto intact = buffer.check(); !intact) {
    throw std::runtime_error(std::string("[simt] a kernel ") + intact.message() + ", of " +
                             std::to_string(buffer.size()) + " bytes");
  }
}

void check_all_guards() {
  const std::lock_guard lock(mutex);
  for (const auto& allocation : allocations()) check_guards(allocation.second);
}

class Captured final : public kernels::CapturedWork {
 public:
  void launch(kernels::Stream&) override {
    for (const auto& step : steps) {
      if (const kernels::Status status = step()) throw std::runtime_error(status);
    }
  }
  std::vector<std::function<kernels::Status()>> steps;
};

class SimtDevice final : public kernels::DeviceApi {
 public:
  explicit SimtDevice(const Schedule& schedule) : schedule_(schedule) {}

  void* allocate(std::size_t bytes) override try {
    Buffer buffer(bytes);
    std::byte* data = buffer.data();
    const std::lock_guard lock(mutex);
    allocations().emplace(data, std::move(buffer));
    return data;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }

  void release(void* memory) override {
    const std::lock_guard lock(mutex);
    const auto found = allocations().find(static_cast<const std::byte*>(memory));
    if (found == allocations().end()) return;
    const Buffer buffer = std::move(found->second);
    allocations().erase(found);
    check_guards(buffer);
  }

  // As on a GPU of its own memory: kernels reach none of the host's.
  kernels::HostBuffer allocate_host(std::size_t bytes) override {
    return {DeviceApi::allocate_host(bytes).host, nullptr};
  }

  // Captured, a copy would be done again from where the host's values were once.
  void upload(void* device, const void* host, std::size_t bytes, kernels::Stream& stream) override {
    refuse_capture(stream, "copies from the host on");
    if (bytes != 0) std::memcpy(device, host, bytes);
  }
  void download(void* host, const void* device, std::size_t bytes, kernels::Stream& stream) override {
    refuse_capture(stream, "waits for");
    check_all_guards();
    if (bytes != 0) std::memcpy(host, device, bytes);
  }
  void copy(void* to, const void* from, std::size_t bytes, kernels::Stream& stream) override {
    static_cast<Stream&>(stream).queue([=]() -> kernels::Status {
      if (bytes != 0) std::memcpy(to, from, bytes);
      return nullptr;
    });
  }
  std::unique_ptr<kernels::Stream> create_stream(int) override { return std::make_unique<Stream>(schedule_); }
  void synchronize(kernels::Stream& stream) override {
    refuse_capture(stream, "waits for");
    check_all_guards();
  }

  bool captures() const override { return true; }
  void begin_capture(kernels::Stream& stream) override {
    if (capturing_ != nullptr) throw std::runtime_error("[simt] captures twice at a time");
    capturing_ = std::make_unique<Captured>();
    static_cast<Stream&>(stream).captured = &capturing_->steps;
  }
  std::unique_ptr<kernels::CapturedWork> end_capture(kernels::Stream& stream) override {
    static_cast<Stream&>(stream).captured = nullptr;
    return std::move(capturing_);
  }

 private:
  static void refuse_capture(kernels::Stream& stream, const std::string& what) {
    if (static_cast<Stream&>(stream).captured == nullptr) return;
    throw std::runtime_error("[simt] " + what + " a stream whose work is being captured");
  }

  Schedule schedule_;
  std::unique_ptr<Captured> capturing_;
};

}  // namespace

std::unique_ptr<kernels::DeviceApi> create_device_api(const Schedule& schedule) {
  return std::make_unique<SimtDevice>(schedule);
}

bool is_device_memory(const void* address, std::size_t bytes) {
  const auto* begin = static_cast<const std::byte*>(address);
  const std::lock_guard lock(mutex);
  auto found = allocations().upper_bound(begin);
  if (found == allocations().begin()) return false;
  --found;
  return begin + bytes <= found->first + found->second.size();
}

}  // namespace pila::simt
