// Items on a learned belt: one verdict for each thing that goes by, whatever the belt, the light and the camera do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "apps/items/decider.h"
#include "tests/apps/items/belt_film.h"

namespace pila {
namespace {

using test::BeltFilm;
using test::FilmOptions;

std::vector<Item> decide(BeltFilm& film, const DecisionOptions& options = {}) {
  const auto decider = make_decider(options, nullptr);
  std::vector<Item> items;
  const auto keep = [&](std::vector<Item> some) {
    for (Item& item : some) items.push_back(std::move(item));
  };
  Frame frame;
  Sighting sighting;
  while (film.next(frame, sighting)) keep(decider->take(frame, sighting));
  keep(decider->finish());
  return items;
}

TEST(Scratch, Sweep) {
  int bad = 0, total = 0;
  for (double in_view : getenv("IV") ? std::vector<double>{atof(getenv("IV"))} : std::vector<double>{2.0, 2.5, 3.0, 5.0, 8.0, 15.0, 25.0}) {
    for (int way = 0; way < 4; ++way) {
      int wrong = 0, late = 0, n = 0; double worst = 0, sum = 0; int labels = 0;
      for (std::uint64_t seed = 0; seed < (getenv("SEEDS") ? atoi(getenv("SEEDS")) : 2); ++seed) {
        FilmOptions o;
        o.seed = seed * 100 + way;
        o.frames_in_view = in_view;
        o.frames = 80;
        o.vertical = way & 1;
        o.backwards = way & 2;
        if (getenv("GREY")) o.grey = true;
        if (getenv("DROP")) o.dropped = 0.1;
        if (getenv("JIT")) o.jitter = 0.3;
        if (getenv("DRIFT")) o.light_drift = atof(getenv("DRIFT"));
        if (getenv("EMPTY")) o.empty_start = 2.5 * 30/in_view/ 1.2;
        if (getenv("GAP")) o.least_gap = o.most_gap = atof(getenv("GAP"));
        BeltFilm film(o);
        auto items = decide(film);
        ++total;
        if (items.size() != film.things().size()) {
          ++bad; ++wrong;
          printf("  in_view %.1f way %d seed %d: %zu of %zu\n", in_view, way, (int)seed, items.size(), film.things().size());
          if (getenv("V")) { for (auto& t : film.things()) printf("   truth %.3f label %zu\n", t.passed*30, t.label);
          for (auto& t : items) printf("   item %.3f label %zu frames %ld-%ld n %d\n", t.passed*30, t.label, t.first_frame, t.last_frame, t.frames);}
          continue;
        }
        for (std::size_t i = 0; i < items.size(); ++i) {
          double e = std::abs(items[i].passed - film.things()[i].passed) * film.speed() / (o.vertical ? o.height : o.width);
          worst = std::max(worst, e); sum += e; ++n;
          labels += items[i].label == film.things()[i].label;
        }
      }
      printf("in_view %.1f way %d wrong %d/4 worst %.4f mean %.4f pictures; labels %d/%d\n", in_view, way, wrong, worst, sum / n, labels, n);
      (void)late;
    }
  }
  fflush(stdout); printf("bad %d of %d\n", bad, total);
}

}  // namespace
}  // namespace pila
