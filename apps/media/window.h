// A window on this computer's screen.
#pragma once

#include <string>

#include "apps/media/image.h"

namespace pila::media {

// One thread's; the toolkits want that to be always the same, of all windows.
class Window {
 public:
  // Throws FileError where Pila is built without windows, DeviceError where there is no display.
  explicit Window(std::string title);
  ~Window();
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  // False when the person has closed the window, or pressed q or Escape in it: then it is gone.
  bool show(const Image& image);

 private:
  std::string title_;
  bool open_ = true;
};

}  // namespace pila::media
