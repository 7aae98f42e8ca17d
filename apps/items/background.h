// What the belt looks like where nothing lies on it, learned from the stream.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "apps/items/picture_grid.h"

namespace pila {

class Background {
 public:
  // From grids of one size, at least one. Things may be in view, as long as they move on: each cell takes the
  // colour that it has most often, in doubt the one that is most common in all the pictures.
  void learn(std::span<const PictureGrid> grids);
  bool learned() const { return !cells_.empty(); }

  // Marks with 1 what is not the belt, cell by cell. More or less light on the belt is still the belt, unless
  // there is something close on both sides of it, and so are single cells.
  void compare(const PictureGrid& grid, std::vector<std::uint8_t>& mask);

  // Follows light and wear where nothing lies. `travel`: by how many lengths of the picture the belt has
  // moved since the last time. What has lain still while the belt went by becomes belt; so does what looks
  // like the empty belt around it. The mask is that of the same grid.
  void adapt(const PictureGrid& grid, std::span<const std::uint8_t> mask, double travel);

  const CellColour& mean(std::size_t cell) const { return cells_[cell].mean; }

 private:
  struct Cell {
    CellColour mean{};
    float spread = 0;  // root mean square of the distance
    int covered = 0;   // frames on end
    float travel = 0;  // of the belt while covered by the colour `cover`
    CellColour cover{};
  };
  void find_faint(const PictureGrid& grid);
  void fill(std::vector<std::uint8_t>& mask) const;
  void heal(const PictureGrid& grid);

  int columns_ = 0, rows_ = 0;
  std::vector<Cell> cells_;
  std::vector<std::uint8_t> unlike_;  // with a frame of zeros, before single cells are let go
  std::vector<std::uint8_t> faint_;   // in other light than the belt as a whole
};

}  // namespace pila
