// Where a network is computed, as an option of commands.
#pragma once

#include <memory>
#include <string>

#include "engine/core/device.h"

namespace CLI {
class App;
}

namespace pila {

// Adds --device cpu|cuda|cuda:N|auto, which sets `device`.
void add_device_option(CLI::App& app, std::string& device);

// The device of that name; threads: of the CPU, 0 for all cores. "cuda" is the first GPU. "auto" takes that
// one where it can be used, else the CPU, and says on stderr which, and why not the GPU. Throws DeviceError
// where the GPU that was asked for cannot be used.
std::shared_ptr<Device> open_device(const std::string& name, int threads);

}  // namespace pila
