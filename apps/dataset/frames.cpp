// pila-dataset frames: still images from a video.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "apps/core/command.h"
#include "apps/core/progress.h"
#include "apps/data/near_duplicates.h"
#include "apps/dataset/subcommands.h"
#include "apps/media/image_writer.h"
#include "apps/media/video.h"
#include "engine/core/error.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

struct FramesOptions {
  fs::path video, folder;
  std::int64_t every = 1;
  std::string format = "jpg";
  std::string drop_similar;  // distance to the last frame that was kept; empty: none is dropped
};

void save(const media::Image& frame, const fs::path& file) {
  if (file.extension() == ".png") {
    media::save_png(frame, file);
  } else {
    media::save_jpeg(frame, file);
  }
}

int extract_frames(const FramesOptions& options) {
  media::VideoReader video(options.video);
  std::error_code error;
  fs::create_directories(options.folder, error);
  if (error) throw FileError(options.folder.string() + ": cannot be made: " + error.message());

  const std::int64_t total = video.frames();
  Progress progress("frames", total, total > 0);
  std::int64_t seen = 0, written = 0, dropped = 0;
  std::optional<PerceptualHash> last_kept;
  const auto counts = [&] {
    return fmt::format("{} frames seen, {} written to {}, {} dropped as similar", seen, written,
                       options.folder.string(), dropped);
  };
  const double similar = options.drop_similar.empty() ? -1 : std::stod(options.drop_similar);
  const auto take = [&](const media::Image& frame) {
    if (similar >= 0) {
      const PerceptualHash hash = perceptual_hash(frame);
      if (last_kept && perceptual_distance(*last_kept, hash) <= similar) {
        ++dropped;
        return;
      }
      last_kept = hash;
    }
    const std::string name = fmt::format("{}_{:06}.{}", options.video.stem().string(), seen, options.format);
    save(frame, options.folder / name);
    ++written;
  };

  for (media::Image frame;; ++seen) {
    if (interrupted()) throw Error("interrupted: " + counts());
    const bool wanted = seen % options.every == 0;
    if (!(wanted ? video.next(frame) : video.grab())) break;
    if (wanted) take(frame);
    if (total > 0) progress.advance();
  }
  if (seen == 0) throw FileError(options.video.string() + ": not one frame can be read");
  if (seen < total) {
    progress.note(fmt::format("warning: {}: {} frames are expected, and only {} can be read",
                              options.video.string(), total, seen));
  }
  progress.note(counts());
  return kDone;
}

}  // namespace

void add_frames(CLI::App& app, Work& work) {
  const auto options = std::make_shared<FramesOptions>();
  CLI::App* command = app.add_subcommand("frames", "Writes every N-th frame of a video as VIDEO_000123.jpg.");
  command->add_option("video", options->video, "the video file")->required()->type_name("VIDEO");
  command->add_option("--out", options->folder, "folder for the frames, made where it is missing")
      ->required()
      ->type_name("DIR");
  command->add_option("--every", options->every, "take every N-th frame, from the first one on")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40))
      ->capture_default_str()
      ->type_name("N");
  command->add_option("--format", options->format, "jpg or png")
      ->check(CLI::IsMember({"jpg", "png"}))
      ->capture_default_str()
      ->type_name("FORMAT");
  // As text: for a number, CLI11 takes a flag to be a count.
  command
      ->add_flag("--drop-similar{0.05}", options->drop_similar,
                 "drop frames that are near-identical to the last one kept; --drop-similar=D sets the\n"
                 "distance: 0 for equal ones alone, about 1 for unrelated ones")
      ->check(CLI::NonNegativeNumber);
  command->callback([options, &work] { work = [options] { return extract_frames(*options); }; });
}

}  // namespace pila
