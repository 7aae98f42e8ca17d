#include "apps/media/window.h"

#include <utility>

#include "apps/media/load_modules.h"
#include "engine/core/error.h"

namespace pila::media {

Window::Window(std::string title) : title_(std::move(title)) {
  if (!load_window_module().has_display())
    throw DeviceError("[window] no display can be reached; DISPLAY names the one to use");
}

Window::~Window() {
  if (open_) load_window_module().close(title_.c_str());
}

bool Window::show(const Image& image) {
  open_ = open_ && load_window_module().show(title_.c_str(), image.pixels.data(),
                                             static_cast<int>(image.width), static_cast<int>(image.height));
  return open_;
}

}  // namespace pila::media
