// What pila-export does.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "apps/export/to_int8.h"

namespace pila {

struct ExportOptions {
  std::filesystem::path model, labels, out;
  std::string to;          // "onnx", "keras"; empty: Pila's own, in int8
  bool no_top = false;     // keras: without the head
  std::int64_t batch = 0;  // onnx: how many images the network takes; 0: any number
  Int8Options int8;
  int threads = 0;
};

// Returns the exit code; throws what ends the work.
int export_command(const ExportOptions& options);

}  // namespace pila
