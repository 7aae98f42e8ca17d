// Batteries and small electronic waste, as bodies with a surface that light falls on.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "engine/core/random.h"

namespace pila::synth {

struct Vector {
  double x = 0, y = 0, z = 0;
};

// What is seen of a thing from above at one place.
struct Surface {
  Vector colour;  // red, green, blue: the share of light that it throws back
  Vector normal = {0, 0, 1};
  double metal = 0;  // 0 matt paint, 1 bare metal
};

// One specimen in one position, lying along x with its middle at 0; in millimetres.
class Thing {
 public:
  virtual ~Thing() = default;
  virtual double length() const = 0;
  virtual double width() const = 0;
  virtual double height() const = 0;  // over the belt
  // False where the thing is not.
  virtual bool surface(double x, double y, Surface& found) const = 0;
};

// A kind of thing: a class of the data set.
struct Kind {
  const char* name;
  // `specimen` draws what stays the same in all photographs of a specimen, `position` which side is up.
  std::unique_ptr<Thing> (*make)(Random specimen, Random position);
};
std::span<const Kind> kinds();

}  // namespace pila::synth
