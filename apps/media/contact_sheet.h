// Many pictures on one sheet, each with a caption, for people to look at.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "apps/media/image.h"

namespace pila::media {

using Color = std::array<std::uint8_t, 3>;  // RGB

struct Tile {
  Image image;
  std::string caption;         // shown on one line per '\n', shortened in the middle where it is too long
  std::optional<Color> frame;  // a coloured frame around the picture
};

// Rows of `columns` tiles, each picture scaled to fit into tile_size x tile_size pixels, its shape kept.
// Characters that the font lacks show as '?'. Throws UsageError for no tiles, or a size or columns below 1.
Image contact_sheet(std::span<const Tile> tiles, int columns, int tile_size);

}  // namespace pila::media
