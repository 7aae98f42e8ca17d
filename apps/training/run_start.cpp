#include "apps/training/run_start.h"

#include <fmt/format.h>

#include <cstdio>
#include <functional>
#include <optional>

#include "apps/core/command.h"
#include "apps/core/device.h"
#include "apps/core/progress.h"
#include "apps/training/rank_device.h"
#include "engine/core/error.h"
#include "layers/mixed_precision.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

// A bar, once something is fetched.
class DownloadBar {
 public:
  bool operator()(std::uint64_t arrived, std::uint64_t total) {
    if (!bar_) bar_.emplace("bytes", static_cast<std::int64_t>(total), true);
    bar_->advance(static_cast<std::int64_t>(arrived - before_));
    before_ = arrived;
    return !interrupted();
  }

 private:
  std::optional<Progress> bar_;
  std::uint64_t before_ = 0;
};

void check_same(const std::string& text, const std::string& expected, Communicator& ranks) {
  if (ranks.any(text != ranks.first_ones(text))) {
    throw FileError("the processes were not started with the same " + expected);
  }
}

}  // namespace

fs::path fetch_weights(const FineTuneOptions& options) {
  DownloadBar bar;
  return start_weights(options, std::ref(bar));
}

NoteHook voice_of(const Communicator& ranks) {
  if (!ranks.first()) return [](const std::string&) {};
  return [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); };
}

Context open_context(const FineTuneOptions& options, Communicator& ranks) {
  if (ranks.alone()) {
    const auto device = open_device(options.device, options.threads);
    check_training_precision(*device, options.precision);
    return Context(device);
  }
  check_same(options.device, "--device", ranks);
  const auto device = open_rank_device(options.device, options.threads, ranks);
  check_training_precision(*device, options.precision);
  const NoteHook say = voice_of(ranks);
  if (device->name() == "cpu") {
    say(fmt::format("{} processes, {} here", ranks.size(),
                    options.threads == 1 ? "one thread" : fmt::format("{} threads", options.threads)));
  } else {
    say(fmt::format("{} processes, each with a GPU, {} here: {}", ranks.size(), device->name(),
                    device->description()));
  }
  return Context(device).with_ranks(ranks);
}

RunFolder create_folder(const fs::path& path, Communicator& ranks) {
  on_first(ranks, [&] { RunFolder::create(path); });
  return {path};
}

RunFolder open_folder(const fs::path& path, Communicator& ranks) {
  on_first(ranks, [&] { RunFolder::open(path); });
  return {path};
}

StartModel load_start_model(const Context& ctx, const FineTuneOptions& options) {
  Communicator& ranks = ctx.ranks();
  if (options.weights != "none") on_first(ranks, [&] { fetch_weights(options); });
  StartModel start(ctx, options, [](std::uint64_t, std::uint64_t) { return !interrupted(); });
  voice_of(ranks)(start.describe());
  return start;
}

std::unique_ptr<DataFolders> open_data_folders(const FineTuneOptions& options, const fs::path& run,
                                               Communicator& ranks) {
  std::unique_ptr<DataFolders> folders;
  const auto open = [&] { folders = std::make_unique<DataFolders>(options, run, voice_of(ranks)); };
  on_first(ranks, open);
  if (!ranks.first()) open();
  return folders;
}

DataSet read_images(FineTuneOptions options, const DataFolders& folders, std::int64_t size,
                    Communicator& ranks) {
  check_same(format_options(options), "options", ranks);
  check_same(options.recompute ? "on" : "off", "--recompute", ranks);  // what they exchange hangs on it
  options.data = folders.paths();
  const std::size_t count = list_image_folders(options.data, options.exclude).images.size();
  Progress progress("images read", static_cast<std::int64_t>(count), true, !ranks.first());
  const ReadingHooks reading{[&](std::size_t) { progress.advance(); }, interrupted};
  DataSet data = read_data_set(
      options, size, [&](const std::string& line) { progress.note(line); }, reading);
  check_same(data.fingerprint, "images", ranks);
  progress.note(fmt::format("{} images of {} classes", data.readable().size(), data.classes.size()));
  return data;
}

}  // namespace pila
