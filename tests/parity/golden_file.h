// What Keras computed, read from a golden file, and the numbers that its generator knows too. golden_file.py
// says what the format is.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pila::test {

std::uint64_t seed_of(std::string_view name);  // FNV-1a

// Uniform numbers, each of which is a float32; the bounds hold for element i's channel, i % bounds.size().
struct Bounds {
  double low = -1, high = 1;
};
std::vector<double> generated(std::string_view name, std::size_t count, std::span<const Bounds> bounds);
std::vector<double> generated(std::string_view name, std::size_t count, Bounds bounds = {});

class GoldenFile {
 public:
  // From tests/parity/golden; throws FileError.
  explicit GoldenFile(const std::string& file);

  // Every element of a tensor that was kept so; throws FileError where there is none of that name.
  std::vector<double> values(const std::string& name) const;

  struct Distance {
    double norm_of_difference = 0;  // Euclidean; estimated where only a digest was kept
    double norm_of_expected = 0;
  };
  // Throws FileError for an unknown name or another number of elements; NaN gives an infinite distance.
  Distance distance(const std::string& name, std::span<const double> actual) const;

 private:
  struct Record {
    std::size_t elements = 0;
    std::vector<double> numbers;
  };
  const Record* find(const char* kind, const std::string& name) const;

  std::string path_;
  std::map<std::string, Record> records_;  // by kind and name, with a blank between
};

}  // namespace pila::test
