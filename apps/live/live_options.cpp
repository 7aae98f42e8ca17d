#include "apps/live/live_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <map>
#include <vector>

#include "apps/core/device.h"
#include "apps/core/precision.h"
#include "apps/core/text_file.h"
#include "apps/media/image_file.h"
#include "engine/core/error.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

constexpr char kStills[] = "Still images", kCamera[] = "Cameras and videos", kItems[] = "Items and bins",
               kResults[] = "Where a stream's results go", kRunning[] = "Running for long";

void add_common(CLI::App& app, ClassifyImagesOptions& options) {
  app.add_option("--model", options.model, "Keras HDF5 file: a whole model, or weights of a known network")
      ->required()
      ->type_name("FILE");
  app.add_option("--labels", options.labels, "names of the classes, one a line, in the model's order")
      ->type_name("FILE");
  app.add_option(
         "--source", options.source,
         "an image, or a folder that is searched with all below it; a video; camera:N or /dev/videoN;\n"
         "csi://N (Jetson); rtsp://... or http://...; gst:PIPELINE, which ends in an appsink")
      ->required()
      ->type_name("SOURCE");
  app.add_option("--json", options.json,
                 "write JSON lines to FILE, standard output (-) or, of a stream, tcp://HOST:PORT")
      ->type_name("FILE|-");
  app.add_option("--top", options.top, "how many classes are listed (in JSON: of more than 50)")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str()
      ->type_name("K");
  app.add_option("--threads", options.network.threads,
                 "threads of the network on the processor, 0 for all cores")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str()
      ->type_name("N");
  add_device_option(app, options.network.device);
  add_precision_option(app, options.network.precision);
  app.add_flag("--explain-plan", options.explain_plan,
               "print how the network is computed: passes, operations, shapes, bytes, kernels");
  app.add_option("--without-pass", options.network.without,
                 "leave a pass of the plan out, by its name in --explain-plan")
      ->expected(1)
      ->take_all()
      ->type_name("PASS");
}

void add_stills(CLI::App& app, ClassifyImagesOptions& options) {
  app.add_option("--batch", options.network.batch, "how many images the network takes at a time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str()
      ->type_name("N")
      ->group(kStills);
  app.add_option("--max-pixels", options.max_pixels, "skip larger images")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 30))
      ->capture_default_str()
      ->type_name("N")
      ->group(kStills);
}

// "1280x720" and the like: whole numbers with one separator.
std::vector<std::int64_t> numbers(const std::string& text, char separator, std::size_t count) {
  std::vector<std::int64_t> values;
  for (const std::string& part : CLI::detail::split(text, separator)) {
    std::int64_t value = 0;
    if (!CLI::detail::lexical_cast(part, value) || value < 0 || value > 1 << 20) return {};
    values.push_back(value);
  }
  return values.size() == count ? values : std::vector<std::int64_t>{};
}

void add_camera(CLI::App& app, SourceOptions& source) {
  const auto option = [&](const char* name, auto& value, const char* help, const char* type) {
    return app.add_option(name, value, help)->type_name(type)->group(kCamera);
  };
  app.add_option_function<std::string>(
         "--camera-size",
         [&source](const std::string& text) {
           const auto size = numbers(text, 'x', 2);
           if (size.empty())
             throw CLI::ValidationError("--camera-size", "WIDTHxHEIGHT is expected, got " + text);
           source.width = static_cast<int>(size[0]);
           source.height = static_cast<int>(size[1]);
         },
         "pixels asked of a camera")
      ->type_name("WIDTHxHEIGHT")
      ->group(kCamera);
  option("--fps", source.fps, "frames a second asked of a camera", "N")->check(CLI::Range(0.1, 10000.0));
  option("--exposure", source.exposure, "fixed, in the camera's units; else it is automatic", "VALUE");
  option("--focus", source.focus, "likewise", "VALUE");
  option("--white-balance", source.white_balance, "likewise", "VALUE");
  option("--timeout", source.timeout_s, "seconds without a frame before a live source is opened anew", "S")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  option("--rotate", source.rotate, "degrees clockwise: 0, 90, 180 or 270", "DEGREES")
      ->check(CLI::IsMember({0, 90, 180, 270}))
      ->capture_default_str();
  app.add_flag("--flip-x", source.flip_x, "mirror left and right")->group(kCamera);
  app.add_flag("--flip-y", source.flip_y, "mirror top and bottom")->group(kCamera);
  app.add_option_function<std::string>(
         "--roi",
         [&source](const std::string& text) {
           const auto region = numbers(text, ',', 4);
           if (region.empty())
             throw CLI::ValidationError("--roi", "X,Y,WIDTH,HEIGHT is expected, got " + text);
           source.region = {region[0], region[1], region[2], region[3]};
         },
         "the part of the picture that counts, in pixels, once it is turned")
      ->type_name("X,Y,WIDTH,HEIGHT")
      ->group(kCamera);
  app.add_flag("--pace", source.pace, "play a video at its own rate, as a camera would give it")
      ->group(kCamera);
  option("--loop", source.loop, "how often a video is played, 0 for ever", "N")
      ->check(CLI::Range(0, 1 << 30))
      ->capture_default_str();
}

void add_items(CLI::App& app, StreamOptions& options) {
  static const std::map<std::string, DecisionMode> kModes = {{"items", DecisionMode::items},
                                                             {"change", DecisionMode::change},
                                                             {"frames", DecisionMode::frames},
                                                             {"trigger", DecisionMode::trigger}};
  static const std::map<std::string, BeltDirection> kDirections = {{"right", BeltDirection::right},
                                                                   {"left", BeltDirection::left},
                                                                   {"down", BeltDirection::down},
                                                                   {"up", BeltDirection::up}};
  DecisionOptions& decision = options.decision;
  const auto option = [&](const char* name, auto& value, const char* help, const char* type) {
    return app.add_option(name, value, help)->type_name(type)->group(kItems);
  };
  option(
      "--mode", decision.mode,
      "what a verdict is for: items between two stretches of nothing; stretches of one answer in a stream\n"
      "without gaps (change); every frame (frames); every signal (trigger)",
      "items|change|frames|trigger")
      ->transform(CLI::Transformer(kModes).description(""));
  option("--empty-class", options.empty_class,
         "the model's class for nothing there; else what the empty belt looks like is learned", "CLASS");
  option("--belt-speed", decision.belt_mm_per_s, "of the belt, in mm/s", "MM_PER_S")
      ->check(CLI::PositiveNumber);
  option("--trigger-mm", decision.trigger_mm, "mode trigger: a verdict for so much of belt", "MM")
      ->check(CLI::PositiveNumber);
  option("--trigger", options.trigger,
         "mode trigger: a verdict for each signal: mqtt://HOST/TOPIC or gpio://CHIP/LINE", "URI");
  option("--line", decision.line, "where an item has passed: a share of the picture along the belt", "SHARE")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  option("--direction", decision.direction,
         "where a learned belt moves to in the picture; else by what moves", "right|left|down|up")
      ->transform(CLI::Transformer(kDirections).description(""));
  option("--threshold", options.network.threshold,
         "what is less probable is \"others\"; else as the model says", "P")
      ->check(CLI::Range(0.0, 1.0));
  option("--bin", options.bins,
         "CLASS=BIN@MM: where a class goes, and how far from the line its ejector is; CLASS may be others,\n"
         "or * for all the rest",
         "RULE")
      ->expected(1)
      ->take_all();
  option("--eject", options.ejectors,
         "who throws items into bins: mqtt://HOST/TOPIC, modbus://HOST/UNIT/BIN=COIL,...,\n"
         "gpio://CHIP/BIN=LINE,..., exec:PROGRAM or file:FILE",
         "URI")
      ->expected(1)
      ->take_all();
}

void add_results(CLI::App& app, StreamOptions& options) {
  static const std::map<std::string, KeepPictures> kKeep = {
      {"none", KeepPictures::none}, {"doubtful", KeepPictures::doubtful}, {"all", KeepPictures::all}};
  const auto option = [&](const char* name, auto& value, const char* help, const char* type) {
    return app.add_option(name, value, help)->type_name(type)->group(kResults);
  };
  app.add_flag("--json-frames", options.json_frames, "a JSON line for every frame, too")->group(kResults);
  option("--video", options.video, "annotated video, .mp4 or .avi", "FILE");
  app.add_flag("--window", options.window, "show the annotated picture")->group(kResults);
  option("--store", options.store.file, "keep items in an SQLite database, which pila-finetune learns from",
         "FILE");
  option("--store-pictures", options.store.pictures, "of which items pictures are kept", "none|doubtful|all")
      ->transform(CLI::Transformer(kKeep).description(""));
  app.add_option_function<std::uint64_t>(
         "--store-mb",
         [&options](const std::uint64_t& megabytes) { options.store.max_bytes = megabytes << 20; },
         "how large the store may grow (default 4096); then its oldest pictures go")
      ->check(CLI::Range(1, 1 << 24))
      ->type_name("MB")
      ->group(kResults);
  option("--doubtful-below", options.doubtful_below, "less probable items are doubtful", "P")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  option("--http", options.http, "show a web page there, such as 127.0.0.1:8080", "HOST:PORT");
  option("--http-token", options.http_token,
         "what visitors have to know; needed at addresses beyond this computer. @FILE reads it from there",
         "TOKEN");
}

void add_running(CLI::App& app, StreamOptions& options) {
  const auto option = [&](const char* name, auto& value, const char* help, const char* type) {
    return app.add_option(name, value, help)->type_name(type)->group(kRunning);
  };
  option("--stats", options.statistics, "write counts and times to FILE at the end, as JSON", "FILE");
  app.add_flag("--watch-model", options.watch_model, "take up the model file when it is replaced")
      ->group(kRunning);
  option("--heartbeat", options.heartbeat_s, "seconds between two lines on how it goes, 0 for none", "S")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
}

// What a token is, or the first line of the file that it names.
std::string read_token(const std::string& token) {
  if (!token.starts_with('@')) return token;
  constexpr std::uintmax_t kMost = 4096;
  const std::string text = read_text_file(token.substr(1), kMost);
  return text.substr(0, text.find_first_of("\r\n"));
}

bool names_still_images(const fs::path& source) {
  std::error_code ignored;
  return fs::is_directory(source, ignored) || media::looks_like_image(source);
}

void refuse(const CLI::App& app, bool stills) {
  for (const CLI::Option* option : app.get_options()) {
    const std::string& group = option->get_group();
    const bool of_stills = group == kStills;
    const bool of_streams = group == kCamera || group == kItems || group == kResults || group == kRunning;
    if (option->count() == 0 || (stills ? !of_streams : !of_stills)) continue;
    throw UsageError(fmt::format("{}: this is for {}, and the source is {}", option->get_name(),
                                 stills ? "streams" : "still images", stills ? "still images" : "a stream"));
  }
}

}  // namespace

void add_live_options(CLI::App& app, LiveOptions& options) {
  add_common(app, options.images);
  add_stills(app, options.images);
  add_camera(app, options.stream.source);
  add_items(app, options.stream);
  add_results(app, options.stream);
  add_running(app, options.stream);
}

bool settle_live_options(const CLI::App& app, LiveOptions& options) {
  const bool stills = names_still_images(options.images.source);
  refuse(app, stills);
  const auto threshold = options.stream.network.threshold;
  StreamOptions& stream = options.stream;
  stream.model = options.images.model;
  stream.labels = options.images.labels;
  stream.network = options.images.network;
  stream.network.threshold = threshold;
  stream.explain_plan = options.images.explain_plan;
  stream.source.uri = options.images.source.string();
  stream.json = options.images.json;
  stream.top = options.images.top;
  stream.http_token = read_token(stream.http_token);
  return stills;
}

}  // namespace pila
