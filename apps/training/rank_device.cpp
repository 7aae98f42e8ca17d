#include "apps/training/rank_device.h"

#include <algorithm>
#include <cstdio>

#include "engine/core/error.h"
#include "engine/parallel/nccl_sum.h"

namespace pila {
namespace {

// The first line that any rank has, in their order; empty where none has one.
std::string first_line(Communicator& ranks, const std::string& mine) {
  const std::vector<char> all = ranks.gather_values(std::span<const char>(mine));
  return {all.begin(), std::ranges::find(all, '\n')};
}

}  // namespace

std::shared_ptr<Device> open_rank_device(const std::string& name, int threads, Communicator& ranks,
                                         const GpuAccess& access) {
  if (name == "cpu") return Device::cpu(threads);
  if (name != "cuda" && name != "auto") {
    throw UsageError("--device " + name + ": each of several processes takes a GPU of its own, with " +
                     "--device cuda; CUDA_VISIBLE_DEVICES says which there are");
  }
  const int number = number_on_machine(ranks);
  std::shared_ptr<Device> gpu;
  std::shared_ptr<const Nccl> nccl;
  std::string reason;
  try {
    gpu = access.open(number);
    nccl = std::make_shared<const Nccl>(access.nccl);
  } catch (const DeviceError& error) {
    reason = "process " + std::to_string(ranks.rank()) + ", which takes GPU " + std::to_string(number) +
             " of its machine: " + error.what() + '\n';
  }
  reason = first_line(ranks, reason);
  if (reason.empty()) {
    ranks.sum_tensors_by(std::make_unique<NcclSum>(nccl, ranks, gpu));
    return gpu;
  }
  if (name == "cuda") {
    throw DeviceError("--device cuda: " + reason + "; --device auto takes the processor then");
  }
  if (ranks.first()) std::fprintf(stderr, "computing on the processor: %s\n", reason.c_str());
  return Device::cpu(threads);
}

}  // namespace pila
