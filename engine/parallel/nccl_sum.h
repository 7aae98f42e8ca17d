// Sums over ranks that have a GPU each, from GPU to GPU.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "engine/core/device.h"
#include "engine/parallel/communicator.h"
#include "engine/parallel/nccl.h"

namespace pila {

class NcclSum : public TensorSum {
 public:
  // For tensors of that device, which is no other rank's. All ranks make theirs at once. Throws DeviceError
  // where NCCL cannot connect them.
  NcclSum(std::shared_ptr<const Nccl> nccl, Communicator& ranks, std::shared_ptr<Device> device);
  ~NcclSum() override;
  NcclSum(const NcclSum&) = delete;
  NcclSum& operator=(const NcclSum&) = delete;

  // Queued on the device's stream. Each rank adds up its share of all ranks' values: ncclAllReduce may add in
  // any order. On a GPU more than 256 ranks are added in float32, in an order that their number decides.
  void sum(const Context& ctx, const Tensor& values) override;

 private:
  // Numbers on their way to or from a rank.
  struct Piece {
    float* first;
    std::int64_t count;
  };
  using PieceOf = std::function<Piece(int rank)>;
  void exchange(const PieceOf& to, const PieceOf& from);

  std::shared_ptr<const Nccl> nccl_;
  std::shared_ptr<Device> device_;
  int rank_, size_;
  Nccl::Comm comm_ = nullptr;
};

}  // namespace pila
