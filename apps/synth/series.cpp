#include "apps/synth/series.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "apps/synth/draw.h"

namespace pila::synth {
namespace {

using media::Color;

constexpr Colours kCopper = {{30, 30, 33}, {190, 118, 60}, {238, 226, 204}},
                  kBlue = {{34, 66, 142}, {188, 192, 200}, {244, 244, 244}},
                  kRed = {{172, 32, 36}, {230, 226, 216}, {24, 22, 24}},
                  kGreen = {{28, 104, 60}, {216, 190, 70}, {244, 242, 226}};

// One of each pattern.
const Series kDesigned[] = {
    {"voltra_max", "VOLTRA", "MAX", kCopper, Pattern::plus_cap, Emblem::bolt, 0.35},
    {"korvex_ultra", "KORVEX", "ultra", kCopper, Pattern::minus_cap, Emblem::disc, 0.65},
    {"nordamp_pro", "NORDAMP", "PRO", kCopper, Pattern::slant, Emblem::bars, 0.3},
    {"lumidor_plus", "LUMIDOR", "plus", kBlue, Pattern::two_rings, Emblem::disc, 0.5},
    {"aquilux_energy", "AQUILUX", "ENERGY", kBlue, Pattern::middle_band, Emblem::diamond, 0.5},
    {"tessano_basic", "TESSANO", "basic", kBlue, Pattern::lengthwise, Emblem::bars, 0.42},
    {"rubicel_power", "RUBICEL", "POWER", kRed, Pattern::chevrons, Emblem::bolt, 0.3},
    {"fennaro_daily", "FENNARO", "daily", kRed, Pattern::dots, Emblem::diamond, 0.62},
    {"zenimo_long", "ZENIMO", "long", kRed, Pattern::slant_back, Emblem::disc, 0.7},
    {"olivolt_eco", "OLIVOLT", "eco", kGreen, Pattern::wave, Emblem::disc, 0.32},
    {"mirello_home", "MIRELLO", "HOME", kGreen, Pattern::checks, Emblem::bars, 0.62},
    {"pandiro_gold", "PANDIRO", "gold", kGreen, Pattern::triangles, Emblem::diamond, 0.34},
};

Color any_colour(Random& random, int darkest, int lightest) {
  Color result;
  for (auto& channel : result) channel = static_cast<std::uint8_t>(whole(random, darkest, lightest));
  return result;
}

// Dark on light or light on dark, so that print can be read.
Colours invented_colours(Random random) {
  Colours result{any_colour(random, 16, 130), any_colour(random, 110, 240), any_colour(random, 200, 250)};
  if (chance(random, 0.35)) {
    std::swap(result.body, result.accent);
    result.text = any_colour(random, 10, 60);
  }
  return result;
}

std::string invented_brand(Random& random) {
  static constexpr const char* kFirst[] = {"AL",  "BRI", "CO", "DRE", "EL", "FO", "GA", "HU",
                                           "IR",  "JA",  "KE", "LO",  "MI", "NA", "OX", "PE",
                                           "QUA", "RU",  "SO", "TE",  "VI", "ZE"};
  static constexpr const char* kMiddle[] = {"",   "ba", "de", "fi", "go", "ka",
                                            "li", "mo", "na", "ri", "ta", "vu"};
  static constexpr const char* kLast[] = {"CEL", "DON", "GEN", "KAR", "LUM", "MAX",
                                          "NOR", "POL", "RAX", "SUN", "TOR", "VEX"};
  std::string brand = std::string(pick(random, kFirst)) + pick(random, kMiddle) + pick(random, kLast);
  std::transform(brand.begin(), brand.end(), brand.begin(), [](unsigned char c) { return std::toupper(c); });
  return brand;
}

}  // namespace

int designed_series_count() { return static_cast<int>(std::size(kDesigned)); }
const Series& designed_series(int number) { return kDesigned[number]; }

Series invented_series(int number) {
  constexpr int kOfOneColour = 3;
  enum Place : std::uint32_t { kDesign = 400, kColours };
  static constexpr const char* kLines[] = {"super",  "CLASSIC", "extra", "PRIME",
                                           "active", "GO",      "eco+",  "X2"};
  static constexpr Emblem kEmblems[] = {Emblem::disc, Emblem::diamond, Emblem::bolt, Emblem::bars};
  Random random(0, number, kDesign);
  Series result = pick(random, kDesigned);  // its pattern, and where that leaves room for print
  result.name = fmt::format("invented-{:03}", number + 1);
  result.brand = invented_brand(random);
  result.line = pick(random, kLines);
  result.emblem = pick(random, kEmblems);
  result.colours = invented_colours(Random(0, number / kOfOneColour, kColours));
  return result;
}

}  // namespace pila::synth
