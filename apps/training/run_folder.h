// The folder of a run, and what is in it.
#pragma once

#include <filesystem>
#include <string>

namespace pila {

struct RunFolder {
  std::filesystem::path path;

  std::filesystem::path checkpoint() const { return path / "last.ckpt"; }
  std::filesystem::path model() const { return path / "model.h5"; }
  // "metrics.csv" of the measured training, "metrics-refit.csv" and the like of others.
  std::filesystem::path metrics(const std::string& training) const {
    return path / (training.empty() ? "metrics.csv" : "metrics-" + training + ".csv");
  }

  // Makes the folder. Throws FileError when it holds a run already, is not empty, or cannot be written.
  static RunFolder create(const std::filesystem::path& path);
  // Throws FileError when there is no run in it, or it cannot be written.
  static RunFolder open(const std::filesystem::path& path);
};

// Throws FileError, the file's name first.
void write_text_file(const std::filesystem::path& file, const std::string& text);

}  // namespace pila
