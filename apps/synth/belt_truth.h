// What a belt video shows, as JSON.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "apps/synth/belt_plan.h"

namespace pila::synth {

// Of one physical battery, within its class: "specimen-01". Those of the video come first.
std::string specimen_name(int specimen);

struct TruthHeader {
  std::string video, level;
  std::vector<std::string> classes;  // by series
  double fps = 0;
  std::uint64_t seed = 0;
};

// "items": number, class, specimen, first and last frame in view, when its middle crosses the picture's;
// "frames": which items are in view, where their middle is, in pixels, and how much of them is seen. The file
// is whole or not there. Throws FileError.
void write_truth(const std::filesystem::path& file, const TruthHeader& header, const BeltPlan& plan);

}  // namespace pila::synth
