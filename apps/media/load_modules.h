// Parts of a program that are loaded when they are needed first, since what they bring along is slow to load.
// They lie beside the program, in ../lib/pila, or where the system looks for libraries.
#pragma once

#include "apps/media/video_module.h"
#include "apps/media/window_module.h"

namespace pila::media {

// libpila_video.so. Throws FileError when it is not there, or of another version of Pila.
const VideoModule& load_video_module();
// libpila_window.so, which is built where there is OpenCV's highgui. Throws likewise.
const WindowModule& load_window_module();

}  // namespace pila::media
