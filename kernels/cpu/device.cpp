#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/device.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

const char* target_name() { return hwy::TargetName(HWY_TARGET); }

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <algorithm>
#include <cstdlib>
#include <cstring>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/elements.h"
#include "kernels/cpu/thread_pool.h"

namespace pila::kernels::cpu {
namespace {

HWY_EXPORT(target_name);

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

class HostDevice final : public DeviceApi {
 public:
  void* allocate(std::size_t bytes) override {
    // Large tensors live on huge pages where the system grants them: fewer page faults and TLB misses.
    const bool large = bytes >= 2 * kHugePage;
    const std::size_t alignment = large ? kHugePage : kAlignment;
    void* memory = nullptr;
    if (posix_memalign(&memory, alignment, std::max(bytes, kAlignment)) != 0) return nullptr;
#if defined(__linux__)
    if (large) madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    return memory;
  }
  void release(void* memory) override { std::free(memory); }

  void upload(void* device, const void* host, std::size_t bytes, Stream& stream) override {
    copy(device, host, bytes, stream);
  }
  void download(void* host, const void* device, std::size_t bytes, Stream& stream) override {
    copy(host, device, bytes, stream);
  }
  void copy(void* to, const void* from, std::size_t bytes, Stream&) override {
    if (bytes > 0) std::memcpy(to, from, bytes);
  }

  std::unique_ptr<Stream> create_stream(int threads) override { return std::make_unique<CpuStream>(threads); }
  void synchronize(Stream&) override {}
};

}  // namespace

std::unique_ptr<DeviceApi> create_device_api() { return std::make_unique<HostDevice>(); }

std::string instruction_set() {
  std::string names = HWY_DYNAMIC_DISPATCH(target_name)();
  if (has_bfloat16()) names += std::string(", ") + kBFloat16Feature;
  if (has_dot_products()) names += ", dot products";
  if (has_matrix_unit()) names += ", AMX";
  return names;
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
