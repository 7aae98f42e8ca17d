// Raw memory, copies and streams of one device, behind opaque handles.
#pragma once

#include <cstddef>
#include <memory>

namespace pila::kernels {

// Where a device's work is queued, in order. On the CPU: the threads that do it, at once.
class Stream {
 public:
  virtual ~Stream() = default;
};

// allocate() says with null that memory is lacking. Where the device's driver refuses anything else, every
// function throws std::runtime_error, whose message names the call. Any thread may call; a stream is used by
// one thread at a time.
class DeviceApi {
 public:
  virtual ~DeviceApi() = default;

  // At least `bytes` of device memory, aligned to 64 bytes; null when there is none.
  virtual void* allocate(std::size_t bytes) = 0;
  // Work that is queued already may still use the memory.
  virtual void release(void* memory) = 0;

  // Copies in stream order. Host memory given to an upload may be reused when the call returns; a download
  // has arrived when it returns.
  virtual void upload(void* device, const void* host, std::size_t bytes, Stream& stream) = 0;
  virtual void download(void* host, const void* device, std::size_t bytes, Stream& stream) = 0;
  virtual void copy(void* to, const void* from, std::size_t bytes, Stream& stream) = 0;

  // A new stream. `threads` matters on the CPU only: how many do the work, 0 for all cores.
  virtual std::unique_ptr<Stream> create_stream(int threads) = 0;
  // Returns when everything queued so far is done.
  virtual void synchronize(Stream& stream) = 0;
};

}  // namespace pila::kernels
