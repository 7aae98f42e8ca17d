// A data set of photograph-like pictures of batteries and electronic waste, drawn by the program itself: to
// try everything out where no photographs are at hand.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

namespace pila::synth {

struct DataSetOptions {
  int classes = 8;  // 2 to most_classes()
  int images = 60;  // of each class
  int size = 192;   // side in pixels
  int images_per_specimen = 6;
  std::uint64_t seed = 0;
  int threads = 0;  // 0: one for each core
};
int most_classes();

// Writes DIR/<class>/<specimen>/<number>.jpg. Photographs of one specimen differ in place, angle, light,
// belt, blur, noise and compression; specimens of a class in make, colours and wear. The same options give
// the same bytes. `progress` is told of each picture; where it returns false, the work ends with
// Error("interrupted"). Throws UsageError for options out of range, FileError for a folder that is not empty
// or cannot be written.
void write_data_set(const std::filesystem::path& folder, const DataSetOptions& options,
                    const std::function<bool()>& progress);

}  // namespace pila::synth
