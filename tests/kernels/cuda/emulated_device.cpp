#include "tests/kernels/cuda/device_under_test.h"
#include "tests/simt/memory.h"
#include "tests/simt/table.h"

namespace pila::test {

DeviceUnderTest& device_under_test() {
  static DeviceUnderTest& device = *[] {  // buffers of static life may go after it
    auto* made = new DeviceUnderTest;
    made->table = &simt::table();
    made->api = simt::create_device_api();
    for (const auto& schedule : simt::kSchedules) {
      made->streams.push_back(std::make_unique<simt::Stream>(schedule));
#if defined(__SANITIZE_ADDRESS__)
      break;  // addresses are the same in all of them, and other builds compare the bits
#endif
    }
    return made;
  }();
  return device;
}

}  // namespace pila::test
