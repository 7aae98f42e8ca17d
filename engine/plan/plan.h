// A computation made ready to run over and over: inputs of fixed shapes in, outputs out, nothing allocated on
// the way.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "engine/core/launch.h"
#include "engine/plan/graph.h"
#include "engine/plan/memory.h"
#include "engine/plan/ranges.h"

namespace pila {

// Memory for `count` bytes.
inline TensorSpec bytes_spec(std::size_t count) { return {{static_cast<std::int64_t>(count)}, DType::u8}; }

struct PlanOptions {
  // Names of passes to leave out (see pass.h), "prepare-weights", or "capture-work", which lets a GPU have
  // all of a run at once.
  std::vector<std::string> without = {};
  // What the network is stored in, on devices with types of 16 bits; on others, what products of float32 with
  // its weights round their factors to; to int8, those that have a range.
  Precision precision = Precision::f32;
  Ranges ranges = {};
};

// Throws UsageError for names of passes that there are not, and for a precision that the device does not
// have.
void check(const Context& ctx, const PlanOptions& options);

// Where a session computes.
struct SessionPlace {
  kernels::Stream* stream = nullptr;  // null: the device's; another one is waited for before the session ends
  void* input = nullptr;              // of the device, for the first input; null: memory of the session's own
  // How often a run of the session runs the plan: inputs and outputs are as many times as long in their first
  // dimension, and what lies between is not.
  std::int64_t parts = 1;
};

// Immutable once it is built, and shared by the sessions that run it.
class Plan {
 public:
  // Applies the passes to the graph, lays out memory, and lets kernels prepare their weights. Throws
  // UsageError for a graph that overwrites its constants, Error where the device lacks a kernel, with the
  // node's name.
  static std::shared_ptr<const Plan> build(const Context& ctx, Graph graph, const PlanOptions& options = {});

  // As the passes left it. Constants that kernels have prepared copies of have no values any more.
  const Graph& graph() const { return graph_; }
  // Bytes of prepared weights, and of what one session needs.
  std::size_t prepared_bytes() const;
  std::size_t session_bytes() const;
  std::size_t workspace_bytes() const { return workspace_bytes_; }  // of which for kernels
  // For people: what each pass did, and each node with its shapes, its kernel and the bytes it moves.
  std::string explain() const;

 private:
  friend class Session;

  struct PassResult {
    std::string name;
    std::size_t places = 0;
  };
  struct Call {
    std::size_t node = 0;
    std::string kernel;
    Tensor prepared;  // a part of the plan's; undefined where there is nothing to prepare
  };
  using BoundCalls = std::vector<std::unique_ptr<const KernelCall>>;
  // Of one session.
  struct Memory {
    Tensor block;                // laid out as layout_ says
    std::vector<Tensor> inputs;  // by number, where they lie elsewhere
  };

  Plan(const Context& ctx, Graph graph, bool captures)
      : ctx_(ctx), graph_(std::move(graph)), captures_(captures) {}
  void rewrite(const PlanOptions& options);
  void lay_out();
  void prepare(bool weights);
  // Gives back constants that kernels have their own copies of.
  void drop_prepared_constants();
  // The kernels of all nodes over values in `memory`; where `nodes` is given, it learns each one's node.
  BoundCalls bind(const Memory& memory, std::vector<std::size_t>* nodes = nullptr) const;
  Tensor tensor_of(ValueId id, const Memory& memory) const;

  Context ctx_;
  Graph graph_;
  bool captures_;  // sessions do, what they run
  std::vector<PassResult> passes_;
  std::vector<ValueId> roots_;  // by value: whose memory it has; a view has another's
  MemoryLayout layout_;         // by value
  std::vector<Call> calls_;
  std::size_t workspace_bytes_ = 0;
  Tensor prepared_;
  Tensor dropped_;  // where arguments that no kernel reads any more point to
};

// One run at a time of a plan, in memory of its own. Several sessions may run at once: on a GPU, those that
// have streams of their own.
class Session {
 public:
  // Where the device captures work, runs once and captures that. Throws what run() throws.
  explicit Session(std::shared_ptr<const Plan> plan, const SessionPlace& place = {});

  // The caller fills the inputs before a run and reads the outputs after it: they are overwritten by the
  // next.
  const Tensor& input(std::size_t i = 0) const { return inputs_.at(i); }
  const Tensor& output(std::size_t i = 0) const { return outputs_.at(i); }
  const Plan& plan() const { return *plan_; }
  std::size_t parts() const { return parts_.size(); }  // how often a run runs the plan
  // Queues a run, behind what is queued already; throws DeviceError when a kernel fails.
  void run() const;
  // Milliseconds that each node of the plan's graph took on the device, in one run, kernel by kernel.
  std::vector<double> run_timed() const;

 private:
  // Call i of a part.
  void run_call(const Plan::BoundCalls& calls, std::size_t i) const;
  void keep_outputs(std::size_t part) const;
  void run_calls() const;
  void capture();

  std::shared_ptr<const Plan> plan_;
  kernels::Stream* stream_;
  Tensor workspace_;
  std::vector<Tensor> inputs_, outputs_;
  std::vector<Tensor> part_outputs_;  // overwritten by the next part
  std::vector<Plan::BoundCalls> parts_;
  std::unique_ptr<kernels::CapturedWork> work_;  // null: calls run one by one
};

}  // namespace pila
