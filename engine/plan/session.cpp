#include <cstddef>
#include <string>
#include <utility>

#include "engine/core/capture.h"
#include "engine/core/error.h"
#include "engine/plan/plan.h"

namespace pila {
namespace {

// Of `parts` tensors, one behind the other.
TensorSpec joined(TensorSpec spec, std::int64_t parts) {
  if (parts == 1) return spec;
  if (spec.shape.rank() == 0) {
    throw UsageError("[plan] expected inputs and outputs with dimensions to run in parts, got " +
                     spec.to_string());
  }
  std::vector<std::int64_t> extents(spec.shape.extents().begin(), spec.shape.extents().end());
  extents[0] *= parts;
  return {Shape(extents), spec.type};
}

}  // namespace

Session::Session(std::shared_ptr<const Plan> plan, const SessionPlace& place)
    : plan_(std::move(plan)), stream_(place.stream != nullptr ? place.stream : &plan_->ctx_.stream()) {
  const Context& ctx = plan_->ctx_;
  const Graph& graph = plan_->graph_;
  const auto parts = static_cast<std::size_t>(place.parts);
  const auto spec_of = [&](ValueId id) { return joined(graph.value(id).spec, place.parts); };
  const Plan::Memory own{Tensor::empty(ctx, bytes_spec(plan_->layout_.bytes)), {}};
  workspace_ = Tensor::empty(ctx, bytes_spec(plan_->workspace_bytes_));
  for (const ValueId id : graph.inputs()) {
    const bool elsewhere = place.input != nullptr && inputs_.empty();
    inputs_.push_back(elsewhere   ? Tensor::borrow(ctx, spec_of(id), place.input)
                      : parts > 1 ? Tensor::empty(ctx, spec_of(id))
                                  : plan_->tensor_of(id, own));
  }
  for (const ValueId id : graph.outputs()) {
    part_outputs_.push_back(plan_->tensor_of(id, own));
    outputs_.push_back(parts > 1 ? Tensor::empty(ctx, spec_of(id)) : part_outputs_.back());
  }
  for (std::size_t part = 0; part < parts; ++part) {
    Plan::Memory memory = own;
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      const TensorSpec& spec = graph.value(graph.inputs()[i]).spec;
      memory.inputs.push_back(inputs_[i].within(part * spec.bytes(), spec));
    }
    parts_.push_back(plan_->bind(memory));
  }
  // What made the plan's weights, and what last used this memory, is queued there.
  if (stream_ != &ctx.stream()) ctx.device()->api().synchronize(ctx.stream());
  if (plan_->captures_) capture();
}

void Session::run_call(const Plan::BoundCalls& calls, std::size_t i) const {
  const Tensor& prepared = plan_->calls_[i].prepared;
  const std::string& layer = plan_->graph_.nodes()[plan_->calls_[i].node].name;
  const ProfilerRange range(plan_->ctx_.device()->api(), layer);
  const kernels::Status status =
      calls[i]->run({stream_, workspace_.data(), prepared ? prepared.data() : nullptr});
  if (status != nullptr) {
    throw DeviceError("[plan] " + layer + ": kernel " + calls[i]->kernel() + " failed: " + status);
  }
}

void Session::keep_outputs(std::size_t part) const {
  if (parts_.size() == 1) return;
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    const Tensor& from = part_outputs_[i];
    std::byte* to = static_cast<std::byte*>(outputs_[i].data()) + part * from.bytes();
    plan_->ctx_.device()->api().copy(to, from.data(), from.bytes(), *stream_);
  }
}

void Session::run_calls() const {
  for (std::size_t part = 0; part < parts_.size(); ++part) {
    for (std::size_t i = 0; i < parts_[part].size(); ++i) run_call(parts_[part], i);
    keep_outputs(part);
  }
}

// A kernel's first run may do what cannot be captured, such as loading its code.
void Session::capture() {
  kernels::DeviceApi& api = plan_->ctx_.device()->api();
  run_calls();
  api.synchronize(*stream_);
  work_ = pila::capture(api, *stream_, [&] { run_calls(); });
}

void Session::run() const {
  if (work_) {
    work_->launch(*stream_);
  } else {
    run_calls();
  }
}

std::vector<double> Session::run_timed() const {
  kernels::DeviceApi& api = plan_->ctx_.device()->api();
  std::vector<std::unique_ptr<kernels::Event>> events(plan_->calls_.size() + 1);
  for (auto& event : events) event = api.create_event();
  std::vector<double> milliseconds(plan_->graph_.nodes().size());
  for (std::size_t part = 0; part < parts_.size(); ++part) {
    events[0]->record(*stream_);
    for (std::size_t i = 0; i < parts_[part].size(); ++i) {
      run_call(parts_[part], i);
      events[i + 1]->record(*stream_);
    }
    for (std::size_t i = 0; i < parts_[part].size(); ++i) {
      milliseconds[plan_->calls_[i].node] += events[i + 1]->milliseconds_since(*events[i]);
    }
    keep_outputs(part);
  }
  return milliseconds;
}

}  // namespace pila
