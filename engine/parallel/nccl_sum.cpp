#include "engine/parallel/nccl_sum.h"

#include <utility>

#include "engine/core/launch.h"

namespace pila {

NcclSum::NcclSum(std::shared_ptr<const Nccl> nccl, Communicator& ranks, std::shared_ptr<Device> device)
    : nccl_(std::move(nccl)), device_(std::move(device)), rank_(ranks.rank()), size_(ranks.size()) {
  Nccl::UniqueId id = {};
  on_first(ranks, [&] { nccl_->check(nccl_->get_unique_id(&id), "ncclGetUniqueId"); });
  id = ranks.first_ones(id);
  // NCCL takes the thread's current GPU, which every call of the device makes its own.
  device_->api().synchronize(device_->stream());
  nccl_->check(nccl_->comm_init_rank(&comm_, size_, id, rank_), "ncclCommInitRank");
}

// Not ncclCommDestroy: in the end no sum is under way, and after an error one may wait for a lost rank.
NcclSum::~NcclSum() { nccl_->comm_abort(comm_); }

void NcclSum::sum(const Context& ctx, const Tensor& values) {
  const std::int64_t total = values.shape().elements();
  auto* all = values.data_as<float>();
  const auto share = [&](int rank) {
    const Share part = share_of(total, rank, size_);
    return Piece{all + part.begin, part.count()};
  };
  const std::int64_t mine = share(rank_).count;
  const Tensor parts = Tensor::empty(ctx, {{size_, mine}, DType::f32});
  const Tensor sums = Tensor::empty(ctx, {{mine}, DType::f32});

  exchange(share, [&](int rank) { return Piece{parts.data_as<float>() + rank * mine, mine}; });
  if (mine > 0) {
    kernels::Reduce args;
    args.reduced = size_;
    args.inner = mine;
    args.x = parts.data();
    args.y = sums.data();
    launch(ctx, "sum_over_ranks", args, {&parts, 1});
  }
  exchange([&](int) { return Piece{sums.data_as<float>(), mine}; }, share);
  values.mark_overwritten();
}

// All at once, in one group: no rank has to be the first to receive. Nobody sends nothing.
void NcclSum::exchange(const PieceOf& to, const PieceOf& from) {
  Nccl::Stream stream = device_->stream().native_handle();
  int result = nccl_->group_start();
  for (int rank = 0; rank < size_; ++rank) {
    const Piece out = to(rank), in = from(rank);
    if (result == Nccl::kSuccess && out.count > 0) {
      result =
          nccl_->send(out.first, static_cast<std::size_t>(out.count), Nccl::kFloat32, rank, comm_, stream);
    }
    if (result == Nccl::kSuccess && in.count > 0) {
      result = nccl_->recv(in.first, static_cast<std::size_t>(in.count), Nccl::kFloat32, rank, comm_, stream);
    }
  }
  const int ended = nccl_->group_end();
  nccl_->check(result == Nccl::kSuccess ? ended : result, "ncclSend and ncclRecv");
}

}  // namespace pila
