// libpila_window.so.
#include "apps/media/window_module.h"

#include <dlfcn.h>

#include <cstdlib>
#include <opencv2/core.hpp>
#include <opencv2/highgui.hpp>
#include <opencv2/imgproc.hpp>

namespace pila::media {
namespace {

bool is_set(const char* variable) {
  const char* const value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

// Asked beforehand, since Qt ends the program where it finds no display.
bool has_display() noexcept {
  if (!is_set("DISPLAY")) return is_set("WAYLAND_DISPLAY");
  void* const library = dlopen("libX11.so.6", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return false;
  const auto open = reinterpret_cast<void* (*)(const char*)>(dlsym(library, "XOpenDisplay"));
  const auto close = reinterpret_cast<int (*)(void*)>(dlsym(library, "XCloseDisplay"));
  void* const display = open == nullptr || close == nullptr ? nullptr : open(nullptr);
  if (display != nullptr) close(display);
  return display != nullptr;
}

void close(const char* title) noexcept {
  try {
    cv::destroyWindow(title);
  } catch (...) {  // closed already
  }
}

bool show(const char* title, const std::uint8_t* pixels, int width, int height) noexcept {
  try {
    cv::Mat bgr;
    cv::cvtColor(cv::Mat(height, width, CV_8UC3, const_cast<std::uint8_t*>(pixels)), bgr, cv::COLOR_RGB2BGR);
    cv::namedWindow(title, cv::WINDOW_NORMAL | cv::WINDOW_KEEPRATIO);
    cv::imshow(title, bgr);
    constexpr int kEscape = 27;
    const int key = cv::waitKey(1);
    if (key != 'q' && key != kEscape && cv::getWindowProperty(title, cv::WND_PROP_VISIBLE) >= 1) return true;
  } catch (...) {
  }
  close(title);
  return false;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const WindowModule* pila_window_module() {
  static const WindowModule module{kWindowModuleVersion, has_display, show, close};
  return &module;
}

}  // namespace pila::media
