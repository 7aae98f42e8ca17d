// Items on a belt whose empty look is learned.
#pragma once

#include <memory>

#include "apps/items/background.h"
#include "apps/items/belt_items.h"
#include "apps/items/belt_motion.h"
#include "apps/items/decider.h"

namespace pila {

// Learns the belt from the first frames, and how fast it is from the first that show something. It keeps
// those and looks at them again, then follows what moves along. A picture of another size, or one that has
// changed all over, begins anew.
class BeltDecider : public Decider {
 public:
  BeltDecider(const DecisionOptions& options, Recognise recognise);
  std::vector<Item> take(const Frame& frame, const Sighting& sighting) override;
  std::vector<Item> finish() override;
  Presence presence() const override { return presence_; }

 private:
  // A belt that may lie this way. Which way it does is decided when the first item has gone by.
  struct Track {
    Track(BeltAxis way, int length, int sign, double interval)
        : axis(way), profile(), motion(length, sign, interval), items(length) {}
    BeltAxis axis;
    BeltProfile profile;
    BeltMotion motion;
    BeltItems items;
  };
  struct Kept {
    Frame frame;
    Sighting sighting;
  };

  double interval_since_last(double seconds);
  bool to_be_kept();
  void learn(std::vector<Item>& items);
  void lay_tracks();
  void follow(const Frame& frame, const Sighting& sighting, const PictureGrid& grid,
              std::vector<Item>& items);
  void weigh(Track& track, const Frame& frame, const Sighting& sighting, const PictureGrid& grid);
  void choose_axis(bool decide);
  void tell(bool all, std::vector<Item>& items);
  void end(std::vector<Item>& items);
  void show(const PictureGrid& grid);

  DecisionOptions options_;
  Recognise recognise_;
  PictureSampler sampler_;
  PictureGrid grid_;
  int columns_ = 0, rows_ = 0;  // of all grids since the belt was learned
  std::vector<std::uint8_t> mask_;
  Background background_;
  std::vector<Kept> kept_;  // while belt or speed are being learned
  std::vector<PictureGrid> grids_;
  std::vector<std::unique_ptr<Track>> tracks_;
  double interval_ = 1.0 / 30, last_seconds_ = 0;
  bool started_ = false, studied_ = false;
  int covered_all_over_ = 0;  // frames on end
  std::int64_t number_;       // of the latest item
  Presence presence_;
};

}  // namespace pila
