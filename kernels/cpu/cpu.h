// The fast CPU kernels and the CPU as a device.
#pragma once

#include <memory>
#include <string>

#include "kernels/device_api.h"
#include "kernels/kernel_table.h"

namespace pila::kernels::cpu {

// Fast kernels first; the reference kernel closes each entry, for the types and shapes they leave out.
const KernelTable& table();

// Host memory and thread-pool streams; also the device of the reference kernels.
std::unique_ptr<DeviceApi> create_device_api();

// The instructions in use, such as "AVX2", or "AVX3, AVX-512 BF16, dot products, AMX" (AVX3: AVX-512).
std::string instruction_set();

}  // namespace pila::kernels::cpu
