#include "apps/core/device.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <optional>
#include <string_view>

#include "engine/core/error.h"

namespace pila {
namespace {

constexpr std::string_view kCuda = "cuda";

// 0 of "cuda", N of "cuda:N"; none for anything else.
std::optional<int> gpu_of(std::string_view name) {
  if (name == kCuda) return 0;
  if (!name.starts_with("cuda:")) return {};
  const std::string_view digits = name.substr(kCuda.size() + 1);
  int index = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  if (error != std::errc() || end != digits.data() + digits.size() || index < 0) return {};
  return index;
}

void say(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

}  // namespace

void add_device_option(CLI::App& app, std::string& device) {
  const CLI::Validator known(
      [](const std::string& name) {
        const bool good = name == "cpu" || name == "auto" || gpu_of(name).has_value();
        return good ? std::string() : "cpu, cuda, cuda:N or auto is expected, got '" + name + "'";
      },
      "");
  app.add_option(
         "--device", device,
         "where the network is computed: the processor, an NVIDIA GPU (cuda: the first one), or a GPU "
         "where there is one")
      ->check(known)
      ->capture_default_str()
      ->type_name("cpu|cuda|cuda:N|auto");
}

std::shared_ptr<Device> open_device(const std::string& name, int threads) {
  if (name == "cpu") return Device::cpu(threads);
  const bool choose = name == "auto";
  try {
    auto gpu = Device::cuda(choose ? 0 : gpu_of(name).value());
    if (choose) say("computing on " + gpu->name() + ", " + gpu->description());
    return gpu;
  } catch (const DeviceError& error) {
    if (!choose) {
      throw DeviceError("--device " + name + ": " + error.what() +
                        "; --device auto takes the processor then");
    }
    say(std::string("computing on the processor: ") + error.what());
    return Device::cpu(threads);
  }
}

}  // namespace pila
