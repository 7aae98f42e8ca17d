#include "tests/parity/golden_file.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <fstream>
#include <limits>

#include "engine/core/error.h"
#include "tests/support/random_data.h"

namespace pila::test {
namespace {

constexpr std::size_t kSignedSums = 4, kSamples = 64;
constexpr double kFloatRounding = 0x1p-24;  // of "full" records

static_assert(std::endian::native == std::endian::little);

template <class T>
std::vector<double> read_numbers(std::istream& in, std::size_t count) {
  std::vector<T> numbers(count);
  in.read(reinterpret_cast<char*>(numbers.data()), static_cast<std::streamsize>(count * sizeof(T)));
  return {numbers.begin(), numbers.end()};
}

double norm_of(std::span<const double> values) {
  double squares = 0;
  for (const double value : values) squares += value * value;
  return std::sqrt(squares);
}

double norm_of_difference(std::span<const double> a, std::span<const double> b) {
  double squares = 0;
  for (std::size_t i = 0; i < a.size(); ++i) squares += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(squares);
}

// Every part of a digest tells how long the difference is: the norms and the signed sums differ by no more,
// and about as much, and the samples hold their share of it.
double norm_of_difference_by_digest(std::span<const double> digest, std::span<const double> values) {
  const std::uint64_t signs = seed_of("signs"), samples = seed_of("samples");
  double sums[kSignedSums] = {};
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto bits = static_cast<unsigned>(random_unit(signs, i) * (1 << kSignedSums));
    for (std::size_t s = 0; s < kSignedSums; ++s) sums[s] += (bits >> s) & 1 ? values[i] : -values[i];
  }
  double sampled[kSamples];
  for (std::size_t i = 0; i < kSamples; ++i) {
    sampled[i] =
        values[static_cast<std::size_t>(random_unit(samples, i) * static_cast<double>(values.size()))];
  }
  double longest = std::abs(norm_of(values) - digest[0]);
  for (std::size_t s = 0; s < kSignedSums; ++s)
    longest = std::max(longest, std::abs(sums[s] - digest[1 + s]));
  const double in_samples = norm_of_difference(digest.subspan(1 + kSignedSums), sampled);
  return std::max(longest, in_samples * std::sqrt(static_cast<double>(values.size()) / kSamples));
}

}  // namespace

std::uint64_t seed_of(std::string_view name) {
  std::uint64_t seed = 0xCBF29CE484222325ull;
  for (const char byte : name) seed = (seed ^ static_cast<unsigned char>(byte)) * 0x100000001B3ull;
  return seed;
}

std::vector<double> generated(std::string_view name, std::size_t count, std::span<const Bounds> bounds) {
  const std::uint64_t seed = seed_of(name);
  std::vector<double> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto& [low, high] = bounds[i % bounds.size()];
    values[i] = static_cast<float>(low + (high - low) * random_unit(seed, i));
  }
  return values;
}

std::vector<double> generated(std::string_view name, std::size_t count, Bounds bounds) {
  return generated(name, count, std::span<const Bounds>(&bounds, 1));
}

GoldenFile::GoldenFile(const std::string& file)
    : path_(std::string(PILA_SOURCE_DIR) + "/tests/parity/golden/" + file) {
  std::ifstream in(path_, std::ios::binary);
  std::string magic;
  std::size_t count = 0;
  in >> magic >> count;
  if (!in || magic != "pila-golden") throw FileError(path_ + ": expected a golden file");
  std::vector<std::pair<std::string, std::size_t>> lines(count);
  std::string kind, name;
  for (auto& [key, elements] : lines) {
    in >> kind >> name >> elements;
    key = kind + " " + name;
  }
  in.get();  // the last line's end
  in.seekg((static_cast<std::streamoff>(in.tellg()) + 7) / 8 * 8);
  for (const auto& [key, elements] : lines) {
    Record& record = records_[key];
    record.elements = elements;
    if (key.starts_with("full ")) {
      record.numbers = read_numbers<float>(in, elements);
    } else {
      record.numbers =
          read_numbers<double>(in, key.starts_with("digest ") ? 1 + kSignedSums + kSamples : elements);
    }
  }
  if (!in) throw FileError(path_ + ": expected " + std::to_string(count) + " records, got an early end");
}

const GoldenFile::Record* GoldenFile::find(const char* kind, const std::string& name) const {
  const auto found = records_.find(kind + (" " + name));
  return found == records_.end() ? nullptr : &found->second;
}

std::vector<double> GoldenFile::values(const std::string& name) const {
  if (const Record* record = find("values", name)) return record->numbers;
  if (const Record* record = find("full", name)) return record->numbers;
  throw FileError(path_ + ": expected a record '" + name + "', got none");
}

GoldenFile::Distance GoldenFile::distance(const std::string& name, std::span<const double> actual) const {
  Distance distance;
  bool found = false;
  for (const char* kind : {"values", "digest", "full"}) {
    const Record* record = find(kind, name);
    if (record == nullptr) continue;
    found = true;
    if (record->elements != actual.size()) {
      throw FileError(path_ + ": expected " + std::to_string(record->elements) + " elements of '" + name +
                      "', got " + std::to_string(actual.size()));
    }
    const std::span<const double> numbers = record->numbers;
    const bool digest = kind == std::string_view("digest"), full = kind == std::string_view("full");
    const double expected = digest ? numbers[0] : norm_of(numbers);
    double apart =
        digest ? norm_of_difference_by_digest(numbers, actual) : norm_of_difference(numbers, actual);
    if (full) apart = std::max(0.0, apart - kFloatRounding * expected);
    if (!std::isfinite(apart)) apart = std::numeric_limits<double>::infinity();
    distance.norm_of_difference = std::max(distance.norm_of_difference, apart);
    distance.norm_of_expected = expected;
  }
  if (!found) throw FileError(path_ + ": expected a record '" + name + "', got none");
  return distance;
}

}  // namespace pila::test
