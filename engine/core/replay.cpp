#include "engine/core/replay.h"

#include <optional>

#include "engine/core/capture.h"

namespace pila {

Replay::Replay(const Context& ctx) : ctx_(ctx), reserve_(ctx.device()->allocator()) {}

Replay::~Replay() {
  const Allocator::Reserve::Scope scope(reserve_);
  made_.clear();
  replayed_.clear();
}

void Replay::run_now(const Work& work) {
  made_.clear();
  made_ = work();
}

const std::vector<Tensor>& Replay::run(const Work& work) {
  kernels::DeviceApi& api = ctx_.device()->api();
  if (!api.captures()) {
    run_now(work);
    return made_;
  }
  if (captured_) {
    captured_->launch(ctx_.stream());
    return replayed_;
  }
  const Allocator::Reserve::Scope scope(reserve_);
  if (!warm_) {
    run_now(work);
    warm_ = true;
    return made_;
  }
  made_.clear();
  captured_ = capture(api, ctx_.stream(), [&] { replayed_ = work(); });
  captured_->launch(ctx_.stream());
  return replayed_;
}

const std::vector<Tensor>& Replay::run_other(const Work& work) {
  std::optional<Allocator::Reserve::Scope> scope;
  if (ctx_.device()->api().captures()) scope.emplace(reserve_);
  run_now(work);
  return made_;
}

}  // namespace pila
