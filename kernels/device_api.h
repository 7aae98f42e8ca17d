// Raw memory, copies, streams, events and captured work of one device, behind opaque handles.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string_view>

namespace pila::kernels {

// Where a device's work is queued, in order. On the CPU: the threads that do it, at once.
class Stream {
 public:
  virtual ~Stream() = default;
  // On the CPU, those that share the work; elsewhere 0.
  virtual int threads() const { return 0; }
  // As the device's own libraries take it: a cudaStream_t; null on the CPU.
  virtual void* native_handle() const { return nullptr; }
};

// A point in a stream's work.
class Event {
 public:
  virtual ~Event() = default;
  // Puts it behind what is queued so far; it may be moved so again and again.
  virtual void record(Stream& stream) = 0;
  // Returns when the work before it is done.
  virtual void wait() = 0;
  // The time between two events of one stream; waits for both.
  virtual double milliseconds_since(Event& earlier) = 0;
};

// For devices whose work is done when the call that queues it returns.
class ImmediateEvent : public Event {
 public:
  void record(Stream&) override { at_ = std::chrono::steady_clock::now(); }
  void wait() override {}
  double milliseconds_since(Event& earlier) override {
    return std::chrono::duration<double, std::milli>(at_ - static_cast<ImmediateEvent&>(earlier).at_).count();
  }

 private:
  std::chrono::steady_clock::time_point at_;
};

// Work that was captured instead of done, with all addresses that it had.
class CapturedWork {
 public:
  virtual ~CapturedWork() = default;
  // Queues all of it at once.
  virtual void launch(Stream& stream) = 0;
};

// Host memory for copies that go on behind the caller's back.
struct HostBuffer {
  void* host = nullptr;    // null when there is none
  void* device = nullptr;  // where kernels read and write it in place; null where copies are faster
};

struct DeviceMemory {
  std::size_t free = 0, total = 0;  // bytes; both 0 where the device does not say
};

// allocate() says with null that memory is lacking. Where the device's driver refuses anything else, every
// function but release() and release_host() throws std::runtime_error, whose message names the call: what
// they meet comes up again in the next call. Any thread may call; a stream is used by one thread at a time.
class DeviceApi {
 public:
  virtual ~DeviceApi() = default;

  // At least `bytes` of device memory, aligned to 64 bytes; null when there is none.
  virtual void* allocate(std::size_t bytes) = 0;
  // Work that is queued already may still use the memory.
  virtual void release(void* memory) = 0;
  virtual DeviceMemory memory() { return {}; }

  // At least `bytes` of host memory, aligned to 64 bytes. When it is released, nothing queued may use it.
  virtual HostBuffer allocate_host(std::size_t bytes) {
    void* memory = std::aligned_alloc(64, (bytes / 64 + 1) * 64);
    return {memory, memory};
  }
  virtual void release_host(const HostBuffer& buffer) { std::free(buffer.host); }

  // Copies in stream order. Host memory given to an upload may be reused when the call returns; a download
  // has arrived when it returns.
  virtual void upload(void* device, const void* host, std::size_t bytes, Stream& stream) = 0;
  virtual void download(void* host, const void* device, std::size_t bytes, Stream& stream) = 0;
  virtual void copy(void* to, const void* from, std::size_t bytes, Stream& stream) = 0;
  // The same without waiting, for memory of allocate_host(), which the stream has until it is done.
  virtual void queue_upload(void* device, const void* host, std::size_t bytes, Stream& stream) {
    upload(device, host, bytes, stream);
  }
  virtual void queue_download(void* host, const void* device, std::size_t bytes, Stream& stream) {
    download(host, device, bytes, stream);
  }

  // A new stream. `threads` matters on the CPU only: how many do the work, 0 for all cores.
  virtual std::unique_ptr<Stream> create_stream(int threads) = 0;
  // Returns when everything queued so far is done.
  virtual void synchronize(Stream& stream) = 0;
  virtual std::unique_ptr<Event> create_event() { return std::make_unique<ImmediateEvent>(); }

  // Whether work can be captured. Then what the calling thread queues on a stream between begin_capture() and
  // end_capture() is written down, not done; meanwhile it may not wait for the stream. end_capture() throws
  // when something could not be captured.
  virtual bool captures() const { return false; }
  virtual void begin_capture(Stream&) {}
  virtual std::unique_ptr<CapturedWork> end_capture(Stream&) { return nullptr; }

  // Names what is queued in between, for profilers.
  virtual void begin_range(std::string_view) {}
  virtual void end_range() {}
};

}  // namespace pila::kernels
