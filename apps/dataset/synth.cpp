// pila-dataset synth: a data set that the program draws itself.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <memory>
#include <string>
#include <string_view>

#include "apps/core/command.h"
#include "apps/core/progress.h"
#include "apps/dataset/subcommands.h"
#include "apps/synth/belt.h"
#include "apps/synth/synth.h"
#include "engine/core/error.h"

namespace pila {
namespace {

struct SynthOptions {
  std::filesystem::path folder;
  bool belt = false;
  std::string size, level = "normal";
  std::uint64_t seed = 0;
  int per_specimen = 6, threads = 0;
  synth::DataSetOptions photographs;
  synth::BeltOptions video;
};

bool parse_number(std::string_view text, int& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

void read_size(SynthOptions& options) {
  if (options.size.empty()) return;
  const std::string_view text = options.size;
  const std::size_t by = text.find('x');
  const bool read = options.belt ? by != text.npos && parse_number(text.substr(0, by), options.video.width) &&
                                       parse_number(text.substr(by + 1), options.video.height)
                                 : parse_number(text, options.photographs.size);
  if (read) return;
  throw UsageError(std::string("--size: expected ") + (options.belt ? "WIDTHxHEIGHT" : "a number of pixels") +
                   ", got '" + options.size + "'");
}

int write_synthetic(SynthOptions options) {
  read_size(options);
  const auto run = [&](const auto& data, std::int64_t pictures, const auto& write) {
    Progress progress("pictures", pictures, true);
    write(options.folder, data, [&] {
      progress.advance();
      return !interrupted();
    });
    return kDone;
  };
  if (options.belt) {
    synth::BeltOptions& data = options.video;
    data.level = options.level == "easy"   ? synth::Level::easy
                 : options.level == "hard" ? synth::Level::hard
                                           : synth::Level::normal;
    data.seed = options.seed;
    data.stills_per_specimen = options.per_specimen;
    data.threads = options.threads;
    return run(data, synth::belt_pictures(data), synth::write_belt);
  }
  synth::DataSetOptions& data = options.photographs;
  data.seed = options.seed;
  data.images_per_specimen = options.per_specimen;
  data.threads = options.threads;
  return run(data, std::int64_t{data.classes} * data.images, synth::write_data_set);
}

void add_photograph_options(CLI::App& command, synth::DataSetOptions& data, CLI::Option* belt) {
  command.add_option("--classes", data.classes, "how many kinds of things")
      ->check(CLI::Range(2, synth::most_classes()))
      ->excludes(belt)
      ->capture_default_str()
      ->type_name("K");
  command.add_option("--images", data.images, "pictures of each class")
      ->check(CLI::Range(1, 100000))
      ->excludes(belt)
      ->capture_default_str()
      ->type_name("N");
}

void add_belt_options(CLI::App& command, SynthOptions& options, CLI::Option* belt) {
  constexpr const char* kGroup = "Belt video";
  belt->group(kGroup);
  synth::BeltOptions& data = options.video;
  const auto add = [&](const char* name, auto& value, const char* text, const char* type) {
    return command.add_option(name, value, text)
        ->needs(belt)
        ->capture_default_str()
        ->type_name(type)
        ->group(kGroup);
  };
  add("--items", data.items, "batteries that go by", "N")->check(CLI::Range(1, 100000));
  add("--level", options.level,
      "easy (far apart, sharp, clean), normal, or hard (now and then two in view, dim\n"
      "and flickering light, blur, dirt)",
      "LEVEL")
      ->check(CLI::IsMember({"easy", "normal", "hard"}));
  add("--series", data.series,
      fmt::format("makes of batteries: the classes, up to {}, or {} invented ones", synth::most_series(false),
                  synth::most_series(true))
          .c_str(),
      "K");
  add("--fps", data.fps, "frames a second", "F")->check(CLI::Range(1.0, 1000.0));
  add("--speed", data.belt_mm_per_s, "of the belt, in millimetres a second", "MM")
      ->check(CLI::Range(1.0, 5000.0));
  add("--stills", data.stills, "pictures of each class to learn from; 0 for none", "N")
      ->check(CLI::Range(0, 100000));
  command
      .add_flag("--invented", data.invented, "makes that are drawn by chance, and none of the designed ones")
      ->needs(belt)
      ->group(kGroup);
  command.add_flag("--with-nothing", data.with_nothing, "add stills of the bare belt: class \"nothing\"")
      ->needs(belt)
      ->group(kGroup);
}

}  // namespace

void add_synth(CLI::App& app, Work& work) {
  const auto options = std::make_shared<SynthOptions>();
  CLI::App* command = app.add_subcommand(
      "synth",
      "Draws photograph-like pictures of batteries and electronic waste on a belt, to try Pila out with:\n"
      "DIR/<class>/<specimen>/0001.jpg ...\n"
      "With --belt, a video of batteries going by under a camera, DIR/belt.avi; what it shows, frame by "
      "frame\n"
      "and item by item, DIR/truth.json; and stills of other specimens,\n"
      "DIR/stills/<class>/<specimen>/0001.jpg ...");
  command->add_option("--out", options->folder, "folder for the pictures: new or empty")
      ->required()
      ->type_name("DIR");
  CLI::Option* belt = command->add_flag("--belt", options->belt, "draw a belt video");
  add_photograph_options(*command, options->photographs, belt);
  command->add_option("--specimen-images", options->per_specimen, "pictures or stills of each specimen")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str()
      ->type_name("N");
  command->add_option("--size", options->size, "side of the pictures in pixels (192); with --belt 640x360")
      ->type_name("PIXELS|WxH");
  command->add_option("--seed", options->seed, "of all that is random")
      ->capture_default_str()
      ->type_name("N");
  command->add_option("--threads", options->threads, "0 for all cores")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str()
      ->type_name("N");
  add_belt_options(*command, *options, belt);
  command->callback([options, &work] { work = [options] { return write_synthetic(*options); }; });
}

}  // namespace pila
