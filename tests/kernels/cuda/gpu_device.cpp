#include "kernels/cuda/cuda.h"
#include "tests/kernels/cuda/device_under_test.h"

namespace pila::test {

// The first GPU, whose two streams are one kernel after the other: the same bits from run to run.
DeviceUnderTest& device_under_test() {
  static DeviceUnderTest& device = *[] {
    auto* made = new DeviceUnderTest;
    made->lacks = kernels::cuda::list_gpus().status;
    if (!made->lacks.empty()) return made;
    made->table = &kernels::cuda::table();
    made->api = kernels::cuda::create_device_api(0);
    for (int i = 0; i < 2; ++i) made->streams.push_back(made->api->create_stream(0));
    return made;
  }();
  return device;
}

}  // namespace pila::test
