// What the makers of data sets have in common: checks of options, and folders to write into.
#pragma once

#include <filesystem>
#include <string>

namespace pila::synth {

// Throw UsageError: "[synth] expected 2 to 12 series, got 1".
void expect_range(const char* what, int value, int low, int high);
void expect_range(const char* what, double value, int low, int high);

// Throw FileError, the folder first: one that cannot be made, or holds something.
void make_folder(const std::filesystem::path& folder);
void make_empty_folder(const std::filesystem::path& folder);

std::string numbered(const char* format, int number);

}  // namespace pila::synth
