#include "engine/parallel/launch.h"

#include <charconv>
#include <cstdlib>
#include <optional>
#include <string_view>

namespace pila {
namespace {

std::optional<int> number_in(const char* variable) {
  const char* value = std::getenv(variable);
  if (value == nullptr) return {};
  const std::string_view text = value;
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 0) return {};
  return number;
}

struct Variables {
  const char *rank, *size;
};
// In a Slurm job's script itself, outside of srun, there is no step.
constexpr Variables kLaunchers[] = {{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
                                    {"PMI_RANK", "PMI_SIZE"},
                                    {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS"}};

}  // namespace

Launched launched() {
  for (const Variables& launcher : kLaunchers) {
    const auto rank = number_in(launcher.rank), size = number_in(launcher.size);
    if (rank && size && *rank < *size) return {*rank, *size};
  }
  return {};
}

}  // namespace pila
