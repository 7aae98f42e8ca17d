// A small set of photographs that a network can learn in seconds.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace pila::test {

// Draws `images` PNGs of 40 x 40 pixels into folder/<class> for each of the classes "disc", "ring" and
// "square" (the first `classes` of them), each in a colour and at a place of its own; the same every time.
void draw_shapes(const std::filesystem::path& folder, int classes, int images);

}  // namespace pila::test
