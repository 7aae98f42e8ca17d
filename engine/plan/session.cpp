#include <exception>
#include <string>
#include <utility>

#include "engine/core/error.h"
#include "engine/plan/plan.h"

namespace pila {

Session::Session(std::shared_ptr<const Plan> plan, const SessionPlace& place)
    : plan_(std::move(plan)), stream_(place.stream != nullptr ? place.stream : &plan_->ctx_.stream()) {
  const Context& ctx = plan_->ctx_;
  const Graph& graph = plan_->graph_;
  memory_.block = Tensor::empty(ctx, bytes_spec(plan_->layout_.bytes));
  if (place.input != nullptr) {
    memory_.input = Tensor::borrow(ctx, graph.value(graph.inputs().at(0)).spec, place.input);
  }
  workspace_ = Tensor::empty(ctx, bytes_spec(plan_->workspace_bytes_));
  calls_ = plan_->bind(memory_);
  for (const ValueId id : graph.inputs()) inputs_.push_back(plan_->tensor_of(id, memory_));
  for (const ValueId id : graph.outputs()) outputs_.push_back(plan_->tensor_of(id, memory_));
  // What made the plan's weights, and what last used this memory, is queued there.
  if (stream_ != &ctx.stream()) ctx.device()->api().synchronize(ctx.stream());
  if (plan_->captures_) capture();
}

void Session::run_call(std::size_t i) const {
  const Tensor& prepared = plan_->calls_[i].prepared;
  const std::string& layer = plan_->graph_.nodes()[plan_->calls_[i].node].name;
  const ProfilerRange range(plan_->ctx_.device()->api(), layer);
  const kernels::Status status =
      calls_[i]->run({stream_, workspace_.data(), prepared ? prepared.data() : nullptr});
  if (status != nullptr) {
    throw DeviceError("[plan] " + layer + ": kernel " + calls_[i]->kernel() + " failed: " + status);
  }
}

void Session::run_calls() const {
  for (std::size_t i = 0; i < calls_.size(); ++i) run_call(i);
}

// A kernel's first run may do what cannot be captured, such as loading its code.
void Session::capture() {
  kernels::DeviceApi& api = plan_->ctx_.device()->api();
  run_calls();
  api.synchronize(*stream_);
  api.begin_capture(*stream_);
  try {
    run_calls();
  } catch (...) {
    const std::exception_ptr error = std::current_exception();
    try {
      api.end_capture(*stream_);  // else the stream would stay unusable
    } catch (const std::exception&) {
    }
    std::rethrow_exception(error);
  }
  work_ = api.end_capture(*stream_);
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
  std::vector<std::unique_ptr<kernels::Event>> events(calls_.size() + 1);
  for (auto& event : events) event = api.create_event();
  events[0]->record(*stream_);
  for (std::size_t i = 0; i < calls_.size(); ++i) {
    run_call(i);
    events[i + 1]->record(*stream_);
  }
  std::vector<double> milliseconds(plan_->graph_.nodes().size());
  for (std::size_t i = 0; i < calls_.size(); ++i) {
    milliseconds[plan_->calls_[i].node] += events[i + 1]->milliseconds_since(*events[i]);
  }
  return milliseconds;
}

}  // namespace pila
