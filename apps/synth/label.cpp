#include "apps/synth/label.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "apps/synth/draw.h"
#include "apps/synth/field.h"

namespace pila::synth {
namespace {

using media::blend;
using media::Canvas;
using media::Color;
using media::Image;
using media::Point;
using media::TextStyle;

constexpr Color kBlack = {24, 24, 26}, kSilver = {176, 178, 182}, kPrint = {236, 236, 232};
constexpr Colours kMakes[] = {
    {{28, 28, 30}, {196, 124, 62}, {236, 226, 206}},    // black and copper
    {{38, 64, 130}, {196, 198, 204}, {240, 240, 240}},  // blue and silver
    {{30, 104, 62}, {214, 184, 60}, {240, 240, 230}},   // green and gold
    {{176, 34, 36}, {232, 230, 226}, {250, 245, 240}},  // red and white
    {{222, 186, 40}, {30, 30, 32}, {30, 30, 32}},       // yellow and black
    {{198, 200, 204}, {60, 110, 170}, {30, 40, 60}},    // silver and blue
};
constexpr const char* kBrands[] = {"VOLTRA", "ENERMAX", "POWERON", "LUMICELL", "AKKU+", "NORDVOLT", "TITAN"};
constexpr const char* kSmallPrint[] = {"1.5V ALKALINE", "DO NOT RECHARGE", "EXP 2027-05",
                                       "Ni-MH 2100mAh", "MADE IN EU",      "Hg 0% Cd 0%"};

Color jitter(Random& random, const Color& color, double most) {
  const double light = between(random, -most, most);
  Color result;
  for (std::size_t c = 0; c < result.size(); ++c) {
    const double value = color[c] + light + between(random, -most / 2, most / 2);
    result[c] = static_cast<std::uint8_t>(std::clamp(value, 0.0, 255.0));
  }
  return result;
}

// The largest size, up to `most`, at which the text fits.
double fitting(const std::string& text, double room, double most) {
  return std::min(most, most * room / text_width(text, centred(most, kBlack, true)));
}

void brand(Canvas& canvas, Random& random, const Color& color, const Point& at, double room, double height) {
  const std::string name = pick(random, kBrands);
  canvas.text(name, at, centred(fitting(name, room, 0.5 * height), color, true));
  const std::string print = pick(random, kSmallPrint);
  const double size = fitting(print, 0.8 * room, 0.17 * height);
  canvas.text(print, {at.x, at.y + 0.42 * height}, centred(size, color, false));
}

void decorate(Canvas& canvas, Random& random, Layout layout, const Colours& colours, double w, double h) {
  switch (layout) {
    case Layout::cap: {
      const double edge = w * between(random, 0.64, 0.72), line = w * 0.015;
      canvas.fill({edge, 0, w - edge, h}, colours.accent);
      canvas.fill({edge - 2 * line, 0, line, h}, colours.accent);
      break;
    }
    case Layout::rings: {
      const double ring = w * between(random, 0.07, 0.1);
      for (const double x : {between(random, 0.1, 0.14), between(random, 0.76, 0.8)}) {
        canvas.fill({w * x, 0, ring, h}, colours.accent);
      }
      break;
    }
    case Layout::stripes: {
      const double width = w * between(random, 0.05, 0.07), lean = w * between(random, 0.1, 0.16);
      // Pointed at half height, so that they meet where the label does.
      for (double x = 0.5 * w; x < 0.8 * w; x += 2.1 * width) {
        const Point corners[] = {{x, 0},         {x + width, 0}, {x + width + lean, h / 2},
                                 {x + width, h}, {x, h},         {x + lean, h / 2}};
        canvas.area(corners, colours.accent);
      }
      break;
    }
  }
}

void blend_pixel(Image& image, std::int64_t x, std::int64_t y, const Color& color, double share) {
  auto* pixel = image.pixels.data() + 3 * (y * image.width + x);
  const Color mixed = blend({pixel[0], pixel[1], pixel[2]}, color, std::clamp(share, 0.0, 1.0));
  std::copy(mixed.begin(), mixed.end(), pixel);
}

void chip(Canvas& canvas, Random& random, const Point& at, double width, double height) {
  const double pin = 0.1 * height;
  for (double x = at.x + pin; x + pin < at.x + width; x += 2.2 * pin) {
    canvas.fill({x, at.y - 1.5 * pin, pin, height + 3 * pin}, kSilver);
  }
  const Color body = jitter(random, {34, 34, 38}, 10);
  canvas.fill({at.x, at.y, width, height}, body);
  canvas.fill({at.x, at.y, width, 0.08 * height}, blend(body, kPrint, 0.25));
  canvas.text(std::to_string(whole(random, 1000, 99999)), {at.x + width / 2, at.y + height / 2},
              centred(0.2 * height, kSilver, false));
}

}  // namespace

TextStyle centred(double size, const Color& color, bool bold) {
  TextStyle style;
  style.size = size;
  style.color = color;
  style.bold = bold;
  style.horizontal = media::Align::middle;
  return style;
}

Colours draw_colours(Random& random) {
  constexpr double kJitter = 14;
  const Colours& make = pick(random, kMakes);
  Colours colours = {jitter(random, make.body, kJitter), jitter(random, make.accent, kJitter), make.text};
  if (chance(random, 0.3)) std::swap(colours.body, colours.accent);
  const auto light = [](const Color& color) { return color[0] + color[1] + color[2] > 330; };
  if (light(colours.body) == light(colours.text)) colours.text = light(colours.body) ? kBlack : kPrint;
  return colours;
}

Image battery_label(Random& random, Layout layout, const Colours& colours, int width, int height) {
  Canvas canvas(width, height);
  const double w = width, h = height;
  canvas.fill({0, 0, w, h}, colours.body);
  decorate(canvas, random, layout, colours, w, h);
  const double centre = layout == Layout::stripes ? 0.27 : layout == Layout::cap ? 0.34 : 0.48;
  const double room = layout == Layout::stripes ? 0.44 : 0.5;
  // Twice around, so that some of the print is seen whichever side is up.
  for (const double y : {0.22, 0.72})
    brand(canvas, random, colours.text, {w * centre, h * y}, w * room, h * 0.36);
  canvas.text("+", {w * 0.94, h * 0.25}, centred(0.09 * h, colours.text, true));
  canvas.text("-", {w * 0.05, h * 0.25}, centred(0.09 * h, colours.text, true));
  return canvas.finish();
}

Image pouch_label(Random& random, const Colours& colours, int width, int height) {
  Canvas canvas(width, height);
  const double w = width, h = height;
  const Color foil = jitter(random, kSilver, 16);
  canvas.fill({0, 0, w, h}, foil);
  const media::Rect area = {w * 0.12, h * 0.12, w * between(random, 0.55, 0.72), h * 0.76};
  canvas.fill(area, colours.body);
  canvas.fill({area.x, area.y, area.width, area.height * 0.16}, colours.accent);
  brand(canvas, random, colours.text, {area.x + area.width / 2, h * 0.48}, area.width * 0.8, h * 0.4);
  return canvas.finish();
}

Image coin_face(Random& random, bool plus, int size) {
  Canvas canvas(size, size);
  const double middle = size / 2.0;
  const Color metal = jitter(random, {168, 168, 166}, 14), dark = blend(metal, kBlack, 0.45);
  canvas.fill({0, 0, double(size), double(size)}, metal);
  if (!plus) {
    canvas.dot({middle, middle}, 0.4 * size, dark);
    canvas.dot({middle, middle}, 0.385 * size, blend(metal, kPrint, 0.2));
    return canvas.finish();
  }
  canvas.text("CR2032", {middle, 0.44 * size}, centred(0.11 * size, dark, true));
  canvas.text("3V", {middle, 0.64 * size}, centred(0.1 * size, dark, true));
  canvas.text("+", {middle, 0.22 * size}, centred(0.11 * size, dark, true));
  return canvas.finish();
}

Image circuit(Random& random, int width, int height) {
  constexpr Color kBoards[] = {{26, 92, 54}, {24, 62, 122}, {140, 30, 32}, {28, 30, 34}, {206, 178, 60}};
  const Color board = jitter(random, pick(random, kBoards), 14);
  const Color trace = blend(board, {214, 196, 120}, 0.3), pad = {204, 186, 110};
  const double w = width, h = height;
  Canvas canvas(width, height);
  canvas.fill({0, 0, w, h}, board);
  for (int i = 0; i < 26; ++i) {
    const Point from = {between(random, 0, w), between(random, 0, h)};
    const double step = between(random, 0.03, 0.25) * w * (chance(random, 0.5) ? 1 : -1);
    const Point bend = {from.x + step, from.y}, to = {bend.x + step / 3, bend.y + step / 3};
    const Point end = {to.x, to.y + between(random, -0.3, 0.3) * h};
    const Point points[] = {from, bend, to, end};
    canvas.curve(points, trace, 0.008 * w);
    canvas.dot(from, 0.011 * w, pad);
    canvas.dot(end, 0.011 * w, pad);
  }
  for (int i = 0; i < 4; ++i) {
    const double side = between(random, 0.14, 0.26) * h, length = side * between(random, 1, 1.8);
    const Point at = {between(random, 0.05, 0.75) * w, between(random, 0.08, 0.7) * h};
    chip(canvas, random, at, length, side);
  }
  for (int i = 0; i < 14; ++i) {
    const double length = 0.04 * w;
    const Point at = {between(random, 0.04, 0.92) * w, between(random, 0.05, 0.9) * h};
    canvas.fill({at.x, at.y, length, 0.4 * length}, kSilver);
    canvas.fill({at.x + 0.25 * length, at.y, 0.5 * length, 0.4 * length}, jitter(random, {120, 96, 70}, 40));
  }
  for (int i = 0; i < 3; ++i) {
    const Point at = {between(random, 0.08, 0.92) * w, between(random, 0.12, 0.88) * h};
    const double radius = between(random, 0.03, 0.05) * w;
    canvas.dot(at, radius, jitter(random, {40, 44, 60}, 16));
    canvas.dot({at.x - 0.1 * radius, at.y - 0.1 * radius}, 0.8 * radius, kSilver);
  }
  for (double y = 0.2 * h; y < 0.8 * h; y += 0.055 * h) canvas.fill({0.965 * w, y, 0.035 * w, 0.03 * h}, pad);
  return canvas.finish();
}

void wear_out(Image& image, Random& random, double wear, bool rust) {
  constexpr Color kRust = {96, 58, 34}, kDirt = {58, 52, 46}, kBare = {206, 206, 204};
  const int width = static_cast<int>(image.width), height = static_cast<int>(image.height);
  const Field dirt = Field::noise(random, width, height, 0.2 * width);
  const Field spots = Field::noise(random, width, height, 0.05 * width);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      blend_pixel(image, x, y, kDirt, wear * (1.6 * static_cast<double>(dirt.at(x, y)) - 0.7));
      const double end = std::min(x, width - 1 - x) / (0.12 * width);
      if (rust)
        blend_pixel(image, x, y, kRust, wear * (2.2 * static_cast<double>(spots.at(x, y)) - 0.5 - end));
    }
  }
  const int scratches = static_cast<int>(wear * between(random, 10, 40));
  for (int i = 0; i < scratches; ++i) {
    double x = between(random, 0, width), y = between(random, 0, height);
    double angle = between(random, 0, 6.283);
    const double strength = between(random, 0.15, 0.7);
    for (int step = whole(random, 4, 10 + width / 8); step > 0; --step) {
      x += std::cos(angle);
      y += std::sin(angle);
      angle += between(random, -0.05, 0.05);
      if (x < 0 || y < 0 || x >= width || y >= height) break;
      blend_pixel(image, static_cast<std::int64_t>(x), static_cast<std::int64_t>(y), kBare, strength);
    }
  }
}

}  // namespace pila::synth
