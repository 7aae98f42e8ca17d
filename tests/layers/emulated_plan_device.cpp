#include "tests/layers/plan_device.h"
#include "tests/simt/memory.h"
#include "tests/simt/table.h"
#include "tests/support/sixteen_bits.h"

namespace pila::test {
namespace {

using namespace kernels;

template <class Args>
const Kernel<Args>& stand_in_for(const Args& args) {
  return *entry_of(sixteen_bits_table(), &args).select(args);
}

// The emulation's memory is the host's: what CUDA lacks, the reference computes there.
template <class Args>
void add_stand_in(Entry<Args>& entry) {
  Kernel<Args> kernel;
  kernel.name = kStandIn;
  kernel.supports = [](const Args& args) {
    return entry_of(sixteen_bits_table(), &args).select(args) != nullptr;
  };
  kernel.workspace = [](const Args& args, const kernels::Stream& stream) -> std::size_t {
    const Kernel<Args>& by = stand_in_for(args);
    return by.workspace == nullptr ? 0 : by.workspace(args, stream);
  };
  kernel.run = [](const Args& args, const Launch& on) -> Status {
    return static_cast<simt::Stream*>(on.stream)->queue(
        [args, on] { return stand_in_for(args).run(args, on); });
  };
  entry.add(kernel);
}

const KernelTable& table() {
  static const KernelTable instance = [] {
    KernelTable table = simt::table();
#define PILA_ADD_STAND_IN(Args, entry) add_stand_in(table.entry);
    PILA_KERNEL_ENTRIES(PILA_ADD_STAND_IN)
#undef PILA_ADD_STAND_IN
    // Plans do without these where there are none, as they would on a GPU.
    table.inverted_residual = simt::table().inverted_residual;
    return table;
  }();
  return instance;
}

}  // namespace

const PlanDevice& plan_device() {
  static const PlanDevice& instance =
      *new PlanDevice{// the emulation's own statics may go before it
                      "", std::make_shared<Device>("emulated", simt::create_device_api(), table(), 1)};
  return instance;
}

}  // namespace pila::test
