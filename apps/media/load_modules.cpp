#include "apps/media/load_modules.h"

#include <dlfcn.h>

#include <filesystem>
#include <string>

#include "engine/core/error.h"

namespace fs = std::filesystem;

namespace pila::media {
namespace {

// The address of `symbol` in a shared library.
void* find(const std::string& file, const char* symbol) {
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  std::string place = file;  // for the system to look
  for (const fs::path& candidate : {folder / file, folder / "../lib/pila" / file}) {
    if (!fs::exists(candidate, error)) continue;
    place = candidate.string();
    break;
  }
  void* const library = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
  void* const address = library == nullptr ? nullptr : dlsym(library, symbol);
  if (address == nullptr) {
    throw FileError(file +
                    ": expected beside the program or in ../lib/pila, and cannot be loaded: " + dlerror());
  }
  return address;
}

template <class Module>
const Module& load(const std::string& file, const char* symbol, int version) {
  const Module& module = *reinterpret_cast<const Module* (*)()>(find(file, symbol))();
  if (module.version != version) throw FileError(file + ": is of another version of Pila");
  return module;
}

}  // namespace

const VideoModule& load_video_module() {
  static const auto& module = load<VideoModule>("libpila_video.so", "pila_video_module", kVideoModuleVersion);
  return module;
}

const WindowModule& load_window_module() {
  static const auto& module =
      load<WindowModule>("libpila_window.so", "pila_window_module", kWindowModuleVersion);
  return module;
}

}  // namespace pila::media
