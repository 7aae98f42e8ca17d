// A video of batteries on a conveyor belt with its truth, and stills of others to learn from, drawn by the
// program itself.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "apps/synth/belt_plan.h"

namespace pila::synth {

struct BeltOptions {
  int items = 30;         // of the video
  int series = 9;         // classes: 2 to most_series()
  bool invented = false;  // series drawn by chance, and not the designed ones
  Level level = Level::normal;
  int width = 640, height = 360;
  double fps = 30;
  double belt_mm_per_s = 100;
  int stills = 60;  // of each class; 0: none
  int stills_per_specimen = 6;
  bool with_nothing = false;  // stills of the bare belt, too: class "nothing"
  std::uint64_t seed = 0;
  int threads = 0;  // 0: one for each core
};
int most_series(bool invented);
const char* name_of(Level level);

// How many frames and stills there will be. Throws UsageError for options out of range.
std::int64_t belt_pictures(const BeltOptions& options);

// Writes DIR/belt.avi, DIR/truth.json and DIR/stills/<class>/<specimen>/<number>.jpg; no specimen of the
// stills is in the video. Camera and belt are the same. The same options give the same pixels, whatever the
// number of threads. `progress` is told of each picture; where it returns false, the work ends with
// Error("interrupted"), and what was not complete is not there. Throws UsageError for options out of range,
// FileError for a folder that is not empty or cannot be written.
void write_belt(const std::filesystem::path& folder, const BeltOptions& options,
                const std::function<bool()>& progress);

}  // namespace pila::synth
