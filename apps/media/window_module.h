// What passes between the programs and libpila_window.so, which alone is linked with OpenCV's highgui.
#pragma once

#include <cstdint>

namespace pila::media {

constexpr int kWindowModuleVersion = 1;

struct WindowModule {
  int version;
  bool (*has_display)() noexcept;
  // Rows of RGB pixels without gaps; false when the person has closed the window.
  bool (*show)(const char* title, const std::uint8_t* pixels, int width, int height) noexcept;
  void (*close)(const char* title) noexcept;
};

// What the library gives.
extern "C" const WindowModule* pila_window_module();

}  // namespace pila::media
