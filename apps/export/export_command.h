// What pila-export does.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace pila {

struct ExportOptions {
  std::filesystem::path model, labels, out;
  std::string to;          // "onnx", "keras"
  std::int64_t batch = 0;  // onnx: how many images the network takes; 0: any number
};

// Returns the exit code; throws what ends the work.
int export_command(const ExportOptions& options);

}  // namespace pila
