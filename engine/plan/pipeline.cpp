#include "engine/plan/pipeline.h"

#include <cstring>
#include <exception>
#include <string>

#include "engine/core/error.h"

namespace pila {

// Memory of the host's that a device can copy from and to by itself.
class Pipeline::HostMemory {
 public:
  HostMemory(kernels::DeviceApi& api, std::size_t bytes) : api_(api), buffer_(api.allocate_host(bytes)) {
    if (buffer_.host == nullptr) {
      throw DeviceError("[pipeline] out of memory: expected room for " + std::to_string(bytes) +
                        " bytes on the host");
    }
  }
  ~HostMemory() { api_.release_host(buffer_); }
  HostMemory(const HostMemory&) = delete;
  HostMemory& operator=(const HostMemory&) = delete;

  void* host() const { return buffer_.host; }
  void* device() const { return buffer_.device; }

 private:
  kernels::DeviceApi& api_;
  const kernels::HostBuffer buffer_;
};

// A session with what one run needs beside it.
class Pipeline::Lane {
 public:
  // On a stream of its own where `overlaps`, else on the device's.
  Lane(const Context& ctx, const std::shared_ptr<const Plan>& plan, std::int64_t parts, bool overlaps)
      : device_(ctx.device()),
        own_stream_(overlaps ? api().create_stream(0) : nullptr),
        stream_(overlaps ? *own_stream_ : ctx.stream()),
        input_(api(), plan->graph().value(plan->graph().inputs().at(0)).spec.bytes() *
                          static_cast<std::size_t>(parts)),
        session_(plan, {&stream_, input_.device(), parts}),
        begin_(api().create_event()),
        end_(api().create_event()) {
    for (std::size_t i = 0; i < plan->graph().outputs().size(); ++i) {
      outputs_.push_back(std::make_unique<HostMemory>(api(), session_.output(i).bytes()));
    }
  }
  ~Lane() {
    try {
      api().synchronize(stream_);
    } catch (const std::exception&) {  // it comes up again in the next call
    }
  }
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  void submit(std::span<const std::byte> input) {
    const Tensor& to = session_.input();
    if (input.size() != to.bytes()) {
      throw ShapeError("[pipeline] expected the bytes of " + to.spec().to_string() + ", got " +
                       std::to_string(input.size()));
    }
    std::memcpy(input_.host(), input.data(), input.size());
    begin_->record(stream_);
    if (input_.device() == nullptr) api().queue_upload(to.data(), input_.host(), input.size(), stream_);
    session_.run();
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      const Tensor& from = session_.output(i);
      api().queue_download(outputs_[i]->host(), from.data(), from.bytes(), stream_);
    }
    end_->record(stream_);
  }

  Result collect() {
    Result result;
    result.milliseconds = end_->milliseconds_since(*begin_);
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      const auto* values = static_cast<const float*>(outputs_[i]->host());
      result.outputs.emplace_back(values, values + session_.output(i).shape().elements());
    }
    return result;
  }

 private:
  kernels::DeviceApi& api() const { return device_->api(); }

  const std::shared_ptr<Device> device_;
  const std::unique_ptr<kernels::Stream> own_stream_;
  kernels::Stream& stream_;
  const HostMemory input_;
  const Session session_;
  std::vector<std::unique_ptr<HostMemory>> outputs_;
  const std::unique_ptr<kernels::Event> begin_, end_;
};

Pipeline::Pipeline(const Context& ctx, const std::shared_ptr<const Plan>& plan, std::int64_t parts) {
  // Devices that capture work are those that do it behind the caller's back.
  const bool overlaps = ctx.device()->api().captures();
  for (int i = 0; i < (overlaps ? 2 : 1); ++i) {
    lanes_.push_back(std::make_unique<Lane>(ctx, plan, parts, overlaps));
  }
}

Pipeline::~Pipeline() = default;

void Pipeline::submit(std::span<const std::byte> input) {
  if (full()) throw UsageError("[pipeline] expected collect() before another submit()");
  lanes_[next_]->submit(input);
  next_ = (next_ + 1) % lanes_.size();
  ++under_way_;
}

Pipeline::Result Pipeline::collect() {
  if (under_way_ == 0) throw UsageError("[pipeline] expected submit() before collect()");
  const std::size_t oldest = (next_ + lanes_.size() - under_way_) % lanes_.size();
  --under_way_;
  return lanes_[oldest]->collect();
}

}  // namespace pila
