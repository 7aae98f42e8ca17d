#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "kernels/cuda/cuda.h"
#include "kernels/cuda/gpus.h"
#include "kernels/cuda/ranges.h"
#include "kernels/cuda/stream.h"

namespace pila::kernels::cuda {
namespace {

class CudaDevice final : public DeviceApi {
 public:
  explicit CudaDevice(const Gpu& gpu) : gpu_(gpu) { make_current(); }

  // cudaMalloc aligns to 256 bytes.
  void* allocate(std::size_t bytes) override {
    make_current();
    void* memory = nullptr;
    return handed_out(cudaMalloc(&memory, std::max<std::size_t>(bytes, 1)), "cudaMalloc") ? memory : nullptr;
  }
  // Waits for the whole device, so that no stream still uses the memory.
  void release(void* memory) override {
    if (cudaSetDevice(gpu_.index) == cudaSuccess) cudaFree(memory);
  }
  DeviceMemory memory() override {
    make_current();
    DeviceMemory memory;
    check(cudaMemGetInfo(&memory.free, &memory.total), "cudaMemGetInfo");
    return memory;
  }

  // A GPU of its own memory would fetch each byte over the bus, perhaps more than once.
  HostBuffer allocate_host(std::size_t bytes) override {
    make_current();
    HostBuffer buffer;
    const cudaError_t error =
        cudaHostAlloc(&buffer.host, std::max<std::size_t>(bytes, 1), cudaHostAllocMapped);
    if (!handed_out(error, "cudaHostAlloc")) return {};
    if (gpu_.integrated) {
      check(cudaHostGetDevicePointer(&buffer.device, buffer.host, 0), "cudaHostGetDevicePointer");
    }
    return buffer;
  }
  void release_host(const HostBuffer& buffer) override {
    if (cudaSetDevice(gpu_.index) == cudaSuccess) cudaFreeHost(buffer.host);
  }

  void upload(void* device, const void* host, std::size_t bytes, Stream& stream) override {
    make_current();
    auto& staging = cuda_stream(stream).staging();
    auto* to = static_cast<unsigned char*>(device);
    const auto* from = static_cast<const unsigned char*>(host);
    for (std::size_t part = 0; part * StagingSlot::kBytes < bytes; ++part) {
      const std::size_t offset = part * StagingSlot::kBytes, size = part_size(part, bytes);
      StagingSlot& slot = staging[part % staging.size()];
      wait_for(slot);
      std::memcpy(slot.memory(), from + offset, size);
      copy_async(to + offset, slot.memory(), size, cudaMemcpyHostToDevice, stream);
      record(slot, stream);
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
        wait_for(slot);
        copy_async(slot.memory(), from + part * StagingSlot::kBytes, part_size(part, bytes),
                   cudaMemcpyDeviceToHost, stream);
        record(slot, stream);
      }
      if (part > 0) {
        StagingSlot& slot = staging[(part - 1) % staging.size()];
        wait_for(slot);
        std::memcpy(to + (part - 1) * StagingSlot::kBytes, slot.memory(), part_size(part - 1, bytes));
      }
    }
  }

  void copy(void* to, const void* from, std::size_t bytes, Stream& stream) override {
    make_current();
    copy_async(to, from, bytes, cudaMemcpyDeviceToDevice, stream);
  }
  void queue_upload(void* device, const void* host, std::size_t bytes, Stream& stream) override {
    make_current();
    copy_async(device, host, bytes, cudaMemcpyHostToDevice, stream);
  }
  void queue_download(void* host, const void* device, std::size_t bytes, Stream& stream) override {
    make_current();
    copy_async(host, device, bytes, cudaMemcpyDeviceToHost, stream);
  }

  std::unique_ptr<Stream> create_stream(int) override {
    make_current();
    return std::make_unique<CudaStream>(10 * gpu_.major + gpu_.minor);
  }
  void synchronize(Stream& stream) override {
    make_current();
    check(cudaStreamSynchronize(handle_of(stream)), "cudaStreamSynchronize");
  }
  std::unique_ptr<Event> create_event() override {
    make_current();
    return std::make_unique<CudaEvent>(fault_);
  }

  bool captures() const override { return true; }
  // Memory may be allocated meanwhile, by this thread and others.
  void begin_capture(Stream& stream) override {
    make_current();
    check(cudaStreamBeginCapture(handle_of(stream), cudaStreamCaptureModeRelaxed), "cudaStreamBeginCapture");
  }
  std::unique_ptr<CapturedWork> end_capture(Stream& stream) override {
    make_current();
    cudaGraph_t captured = nullptr;
    check(cudaStreamEndCapture(handle_of(stream), &captured), "cudaStreamEndCapture");
    return std::make_unique<CudaGraph>(captured, fault_);
  }

  void begin_range(std::string_view name) override { push_range(name); }
  void end_range() override { pop_range(); }

 private:
  static CudaStream& cuda_stream(Stream& stream) { return static_cast<CudaStream&>(stream); }

  static std::size_t part_size(std::size_t part, std::size_t bytes) {
    return std::min(StagingSlot::kBytes, bytes - part * StagingSlot::kBytes);
  }

  void check(cudaError_t error, const char* call) { fault_.check(error, call); }

  // False when memory is lacking.
  bool handed_out(cudaError_t error, const char* call) {
    if (error == cudaErrorMemoryAllocation) {
      cudaGetLastError();  // an error that was handled must not come up again in a later call
      return false;
    }
    check(error, call);
    return true;
  }

  void copy_async(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, Stream& stream) {
    check(cudaMemcpyAsync(to, from, bytes, kind, handle_of(stream)), "cudaMemcpyAsync");
  }
  void wait_for(StagingSlot& slot) { check(slot.wait(), "cudaEventSynchronize"); }
  void record(StagingSlot& slot, Stream& stream) { check(slot.record(handle_of(stream)), "cudaEventRecord"); }

  // CUDA's current device belongs to the thread, and callers come from any.
  void make_current() { check(cudaSetDevice(gpu_.index), "cudaSetDevice"); }

  const Gpu gpu_;
  FirstFault fault_;
};

}  // namespace

std::unique_ptr<DeviceApi> create_device_api(int index) {
  const GpuList list = list_gpus();
  if (list.gpus.empty()) throw std::runtime_error("[cuda] " + list.status);
  if (index < 0 || index >= static_cast<int>(list.gpus.size())) {
    throw std::runtime_error("[cuda] expected one of the GPUs 0 to " + std::to_string(list.gpus.size() - 1) +
                             ", got " + std::to_string(index));
  }
  const Gpu& gpu = list.gpus[static_cast<std::size_t>(index)];
  auto device = std::make_unique<CudaDevice>(gpu);
  cudaFuncAttributes attributes{};
  const std::string reason = why_no_code(gpu, cudaFuncGetAttributes(&attributes, probe_kernel()));
  if (!reason.empty()) throw std::runtime_error("[cuda] " + reason);
  return device;
}

}  // namespace pila::kernels::cuda
