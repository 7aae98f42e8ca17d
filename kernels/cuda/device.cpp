#include <algorithm>
#include <cstring>

#include "kernels/cuda/cuda.h"
#include "kernels/cuda/stream.h"

namespace pila::kernels::cuda {
namespace {

class CudaDevice final : public DeviceApi {
 public:
  explicit CudaDevice(int index) : index_(index) { make_current(); }

  // cudaMalloc aligns to 256 bytes.
  void* allocate(std::size_t bytes) override {
    make_current();
    void* memory = nullptr;
    const cudaError_t error = cudaMalloc(&memory, std::max<std::size_t>(bytes, 1));
    if (error == cudaErrorMemoryAllocation) {
      cudaGetLastError();  // an error that was handled must not come up again in a later call
      return nullptr;
    }
    check(error, "cudaMalloc");
    return memory;
  }
  // Waits for the whole device, so that no stream still uses the memory.
  void release(void* memory) override {
    make_current();
    check(cudaFree(memory), "cudaFree");
  }

  void upload(void* device, const void* host, std::size_t bytes, Stream& stream) override {
    make_current();
    auto& staging = cuda_stream(stream).staging();
    auto* to = static_cast<unsigned char*>(device);
    const auto* from = static_cast<const unsigned char*>(host);
    for (std::size_t part = 0; part * StagingSlot::kBytes < bytes; ++part) {
      const std::size_t offset = part * StagingSlot::kBytes, size = part_size(part, bytes);
      StagingSlot& slot = staging[part % staging.size()];
      slot.wait();
      std::memcpy(slot.memory(), from + offset, size);
      copy_async(to + offset, slot.memory(), size, cudaMemcpyHostToDevice, stream);
      slot.record(handle_of(stream));
    }
  }

  // One part is copied from the device while the one before it is taken out of its slot.
  void download(void* host, const void* device, std::size_t bytes, Stream& stream) override {
    make_current();
    auto& staging = cuda_stream(stream).staging();
    auto* to = static_cast<unsigned char*>(host);
    const auto* from = static_cast<const unsigned char*>(device);
    const std::size_t parts = (bytes + StagingSlot::kBytes - 1) / StagingSlot::kBytes;
    for (std::size_t part = 0; part <= parts && parts > 0; ++part) {
      if (part < parts) {
        StagingSlot& slot = staging[part % staging.size()];
        slot.wait();
        copy_async(slot.memory(), from + part * StagingSlot::kBytes, part_size(part, bytes),
                   cudaMemcpyDeviceToHost, stream);
        slot.record(handle_of(stream));
      }
      if (part > 0) {
        StagingSlot& slot = staging[(part - 1) % staging.size()];
        slot.wait();
        std::memcpy(to + (part - 1) * StagingSlot::kBytes, slot.memory(), part_size(part - 1, bytes));
      }
    }
  }

  void copy(void* to, const void* from, std::size_t bytes, Stream& stream) override {
    make_current();
    copy_async(to, from, bytes, cudaMemcpyDeviceToDevice, stream);
  }

  std::unique_ptr<Stream> create_stream(int) override {
    make_current();
    return std::make_unique<CudaStream>();
  }

  void synchronize(Stream& stream) override {
    make_current();
    check(cudaStreamSynchronize(handle_of(stream)), "cudaStreamSynchronize");
  }

 private:
  static CudaStream& cuda_stream(Stream& stream) { return static_cast<CudaStream&>(stream); }

  static std::size_t part_size(std::size_t part, std::size_t bytes) {
    return std::min(StagingSlot::kBytes, bytes - part * StagingSlot::kBytes);
  }

  static void copy_async(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, Stream& stream) {
    check(cudaMemcpyAsync(to, from, bytes, kind, handle_of(stream)), "cudaMemcpyAsync");
  }

  // CUDA's current device belongs to the thread, and callers come from any.
  void make_current() const { check(cudaSetDevice(index_), "cudaSetDevice"); }

  int index_;
};

}  // namespace

GpuList list_gpus() {
  GpuList list;
  const auto failed = [&](cudaError_t error, const char* call) {
    if (error == cudaSuccess) return false;
    cudaGetLastError();
    list.gpus.clear();
    list.status = std::string(call) + ": " + cudaGetErrorString(error);
    return true;
  };
  int count = 0;
  if (failed(cudaGetDeviceCount(&count), "cudaGetDeviceCount")) return list;
  for (int index = 0; index < count; ++index) {
    cudaDeviceProp properties{};
    if (failed(cudaGetDeviceProperties(&properties, index), "cudaGetDeviceProperties")) return list;
    list.gpus.push_back(
        {index, properties.name, properties.major, properties.minor, properties.totalGlobalMem});
  }
  if (list.gpus.empty()) list.status = "cudaGetDeviceCount: no GPU";
  return list;
}

std::unique_ptr<DeviceApi> create_device_api(int index) { return std::make_unique<CudaDevice>(index); }

}  // namespace pila::kernels::cuda
