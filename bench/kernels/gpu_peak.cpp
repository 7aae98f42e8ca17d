#include "bench/kernels/gpu_peak.h"

#include <cuda_runtime_api.h>

#include "bench/layers/turns.h"
#include "engine/core/error.h"
#include "kernels/cuda/cuda.h"

namespace pila::bench {
namespace {

class Copy : public Call {
 public:
  Copy(const Context& ctx, std::int64_t bytes)
      : ctx_(ctx),
        from_(Tensor::empty(ctx, {{bytes}, DType::u8})),
        to_(Tensor::empty(ctx, {{bytes}, DType::u8})) {}
  std::string name() const override { return "copy"; }
  void run() override { ctx_.device()->api().copy(to_.data(), from_.data(), from_.bytes(), ctx_.stream()); }

 private:
  Context ctx_;
  Tensor from_, to_;
};

const kernels::cuda::Gpu& gpu_of(const Context& ctx, const kernels::cuda::GpuList& list) {
  const std::string& name = ctx.device()->name();
  for (const auto& gpu : list.gpus) {
    if (name == "cuda:" + std::to_string(gpu.index)) return gpu;
  }
  throw DeviceError("[profile] expected a GPU, got " + name);
}

}  // namespace

Roof measure_gpu_roof(const Context& ctx, DType type) {
  const auto list = kernels::cuda::list_gpus();
  const auto& gpu = gpu_of(ctx, list);
  int kilohertz = 0;
  if (cudaDeviceGetAttribute(&kilohertz, cudaDevAttrClockRate, gpu.index) != cudaSuccess || kilohertz <= 0) {
    throw DeviceError("[profile] " + gpu.name + " does not say its clock's rate");
  }
  constexpr std::int64_t kBytes = std::int64_t{256} << 20;
  constexpr int kRounds = 10;
  Copy copy(ctx, kBytes);
  const double seconds = time_in_turns(ctx, {&copy}, kRounds, 5e-3).front();
  Roof roof;
  roof.flops_per_s =
      2e3 * multiply_adds_per_clock(gpu.major, gpu.minor, type) * gpu.multiprocessors * kilohertz;
  roof.bytes_per_s = 2.0 * kBytes / seconds;
  return roof;
}

}  // namespace pila::bench
