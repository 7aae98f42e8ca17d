// pila-dataset inspect: what is in a folder of labelled images.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "apps/core/command.h"
#include "apps/core/output.h"
#include "apps/core/progress.h"
#include "apps/data/image_cache.h"
#include "apps/data/image_folder.h"
#include "apps/dataset/subcommands.h"
#include "apps/media/contact_sheet.h"
#include "apps/media/image.h"
#include "apps/media/image_writer.h"
#include "engine/core/error.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

using Json = nlohmann::ordered_json;

struct InspectOptions {
  fs::path folder;
  std::vector<std::string> exclude;
  std::string json;
  fs::path sheet;
  std::size_t duplicates = 20;
  int threads = 0;
};

struct Inspection {
  ImageFolder folder;
  std::vector<ImageInfo> infos;  // by image
  std::vector<ImageFailure> failures;
  std::vector<DuplicatePair> pairs;  // those across parts first

  const LabelledImage& image(std::size_t index) const { return folder.images[index]; }
  bool across(const DuplicatePair& pair) const { return image(pair.a).part != image(pair.b).part; }
  bool relabelled(const DuplicatePair& pair) const { return image(pair.a).label != image(pair.b).label; }
};

Inspection inspect_folder(const InspectOptions& options) {
  Inspection seen;
  seen.folder = scan_image_folder(options.folder, options.exclude);
  std::vector<fs::path> files;
  for (const auto& image : seen.folder.images) files.push_back(image.file);

  Progress progress("images", static_cast<std::int64_t>(files.size()), true);
  const ReadingHooks hooks = {.progress = [&](std::size_t) { progress.advance(); }, .stop = interrupted};
  const ImageCache cache(files, 1, 1, 0, options.threads, hooks);
  seen.failures = cache.failures();
  std::vector<PerceptualHash> hashes;
  for (std::size_t i = 0; i < files.size(); ++i) {
    seen.infos.push_back(cache.info(i));
    hashes.push_back(cache.info(i).hash);
  }
  seen.pairs = find_near_duplicates(hashes);
  std::stable_partition(seen.pairs.begin(), seen.pairs.end(),
                        [&](const DuplicatePair& pair) { return seen.across(pair); });
  return seen;
}

// Images by class, then by part.
using Counts = std::vector<std::map<Part, std::size_t>>;

Counts count_images(const ImageFolder& folder) {
  Counts counts(folder.classes.size());
  for (const auto& image : folder.images) ++counts[static_cast<std::size_t>(image.label)][image.part];
  return counts;
}

std::set<Part> parts_of(const ImageFolder& folder) {
  std::set<Part> parts;
  for (const auto& image : folder.images) parts.insert(image.part);
  return parts;
}

struct Range {
  std::int64_t least = 0, median = 0, most = 0;
};

Range range_of(std::vector<std::int64_t> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  return {values.front(), values[values.size() / 2], values.back()};
}

struct Summary {
  Range widths, heights;
  std::map<std::string, std::size_t> formats;
};

Summary summarize(const std::vector<ImageInfo>& infos) {
  Summary summary;
  std::vector<std::int64_t> widths, heights;
  for (const auto& info : infos) {
    if (info.width == 0) continue;
    widths.push_back(info.width);
    heights.push_back(info.height);
    ++summary.formats[info.format];
  }
  summary.widths = range_of(std::move(widths));
  summary.heights = range_of(std::move(heights));
  return summary;
}

std::string describe(const Inspection& seen, const DuplicatePair& pair) {
  return fmt::format("  {:.3f}  {}\n         {}{}{}\n", pair.distance, seen.image(pair.a).file.string(),
                     seen.image(pair.b).file.string(),
                     seen.across(pair) ? fmt::format("  ({} and {})", name_of(seen.image(pair.a).part),
                                                     name_of(seen.image(pair.b).part))
                                       : "",
                     seen.relabelled(pair) ? "  (two classes)" : "");
}

std::string table(const ImageFolder& folder) {
  const Counts counts = count_images(folder);
  const std::set<Part> parts = parts_of(folder);
  std::size_t name_width = 5;
  for (const auto& name : folder.classes) name_width = std::max(name_width, name.size());
  std::string text = fmt::format("{:<{}}", "class", name_width);
  for (const Part part : parts) text += fmt::format("{:>12}", part == Part::whole ? "images" : name_of(part));
  text += "\n";
  for (std::size_t label = 0; label < counts.size(); ++label) {
    text += fmt::format("{:<{}}", folder.classes[label], name_width);
    for (const Part part : parts) {
      const auto count = counts[label].find(part);
      text += fmt::format("{:>12}", count == counts[label].end() ? 0 : count->second);
    }
    text += "\n";
  }
  text += fmt::format("{:<{}}", "total", name_width);
  for (const Part part : parts) {
    const auto total = std::count_if(folder.images.begin(), folder.images.end(),
                                     [&](const LabelledImage& image) { return image.part == part; });
    text += fmt::format("{:>12}", total);
  }
  return text + "\n";
}

std::string to_text(const Inspection& seen, std::size_t most_pairs) {
  const Summary summary = summarize(seen.infos);
  std::string text = table(seen.folder);
  const auto& [widths, heights, formats] = summary;
  text += fmt::format("\nwidth   {} to {}, median {}\nheight  {} to {}, median {}\n", widths.least,
                      widths.most, widths.median, heights.least, heights.most, heights.median);
  for (const auto& [format, count] : formats) text += fmt::format("{:<8}{}\n", format, count);
  for (const auto& problem : seen.folder.problems) text += "problem: " + problem + "\n";
  for (const auto& warning : seen.folder.warnings) text += "warning: " + warning + "\n";
  for (std::size_t i = 0; i < seen.infos.size(); ++i) {
    if (seen.infos[i].warning.empty()) continue;
    text += "warning: " + seen.image(i).file.string() + ": " + seen.infos[i].warning + "\n";
  }
  text += fmt::format("\n{} unreadable\n", seen.failures.size());
  for (const auto& failure : seen.failures) text += "  " + failure.reason + "\n";

  const auto across = std::count_if(seen.pairs.begin(), seen.pairs.end(),
                                    [&](const DuplicatePair& pair) { return seen.across(pair); });
  text += fmt::format("\n{} pairs of near-duplicates, {} of them across parts\n", seen.pairs.size(), across);
  if (across > 0) text += "warning: what is measured on images that were trained on flatters\n";
  for (std::size_t i = 0; i < std::min(most_pairs, seen.pairs.size()); ++i) {
    text += describe(seen, seen.pairs[i]);
  }
  if (seen.pairs.size() > most_pairs) {
    text += fmt::format("  and {} more; --duplicates N shows more, --json all of them\n",
                        seen.pairs.size() - most_pairs);
  }
  return text;
}

Json to_json(const Range& range) {
  return {{"min", range.least}, {"median", range.median}, {"max", range.most}};
}

Json to_json(const Inspection& seen) {
  const Summary summary = summarize(seen.infos);
  Json classes = Json::array();
  const Counts counts = count_images(seen.folder);
  for (std::size_t label = 0; label < counts.size(); ++label) {
    Json images = Json::object();
    for (const auto& [part, count] : counts[label]) images[name_of(part)] = count;
    classes.push_back({{"name", seen.folder.classes[label]}, {"images", std::move(images)}});
  }
  Json unreadable = Json::array();
  for (const auto& failure : seen.failures) {
    unreadable.push_back({{"file", seen.image(failure.index).file.string()}, {"reason", failure.reason}});
  }
  Json duplicates = Json::array();
  for (const auto& pair : seen.pairs) {
    duplicates.push_back({{"a", seen.image(pair.a).file.string()},
                          {"b", seen.image(pair.b).file.string()},
                          {"distance", pair.distance},
                          {"across_parts", seen.across(pair)},
                          {"two_classes", seen.relabelled(pair)}});
  }
  return {{"images", seen.folder.images.size()}, {"classes", std::move(classes)},
          {"width", to_json(summary.widths)},    {"height", to_json(summary.heights)},
          {"formats", summary.formats},          {"unreadable", std::move(unreadable)},
          {"duplicates", std::move(duplicates)}, {"warnings", seen.folder.warnings},
          {"problems", seen.folder.problems}};
}

constexpr int kColumns = 8;

// Readable images of each class, evenly from all of them, a row for each class.
void add_samples(const Inspection& seen, std::vector<media::Tile>& tiles) {
  std::vector<std::vector<std::size_t>> readable(seen.folder.classes.size());
  for (std::size_t i = 0; i < seen.infos.size(); ++i) {
    if (seen.infos[i].width > 0) readable[static_cast<std::size_t>(seen.image(i).label)].push_back(i);
  }
  for (const auto& images : readable) {
    for (std::size_t column = 0; column < kColumns; ++column) {
      if (column >= images.size()) {
        tiles.emplace_back();
        continue;
      }
      const std::size_t step = std::max<std::size_t>(images.size(), kColumns);
      const LabelledImage& image = seen.image(images[column * step / kColumns]);
      tiles.push_back(
          {media::load_image(image.file),
           seen.folder.classes[static_cast<std::size_t>(image.label)] + "\n" + image.file.filename().string(),
           {}});
    }
  }
}

// Pairs side by side; red across parts or classes, orange else.
void add_pairs(const Inspection& seen, std::size_t most, std::vector<media::Tile>& tiles) {
  constexpr media::Color kRed = {220, 30, 30}, kOrange = {255, 150, 0};
  for (std::size_t i = 0; i < std::min(most, seen.pairs.size()); ++i) {
    const DuplicatePair& pair = seen.pairs[i];
    for (const std::size_t index : {pair.a, pair.b}) {
      const LabelledImage& image = seen.image(index);
      const std::string& name = seen.folder.classes[static_cast<std::size_t>(image.label)];
      tiles.push_back({media::load_image(image.file),
                       fmt::format("pair {}: {:.3f}\n{}\n{}", i + 1, pair.distance,
                                   image.part == Part::whole ? name : name_of(image.part) + ("/" + name),
                                   image.file.filename().string()),
                       seen.across(pair) || seen.relabelled(pair) ? kRed : kOrange});
    }
  }
}

void save_sheet(const Inspection& seen, const InspectOptions& options) {
  std::vector<media::Tile> tiles;
  add_samples(seen, tiles);
  add_pairs(seen, options.duplicates, tiles);
  if (tiles.empty()) throw FileError(options.folder.string() + ": there are no images for a contact sheet");
  constexpr int kTileSize = 128;
  media::save_png(media::contact_sheet(tiles, kColumns, kTileSize), options.sheet);
}

int inspect(const InspectOptions& options) {
  const Inspection seen = inspect_folder(options);
  if (!options.sheet.empty()) save_sheet(seen, options);
  if (!options.json.empty()) {
    const auto output =
        options.json == "-" ? std::make_unique<Output>() : std::make_unique<Output>(options.json);
    output->write_line(to_json(seen).dump(2, ' ', false, Json::error_handler_t::replace));
    output->finish();
  }
  if (options.json != "-") {
    Output output;
    output.write_line(to_text(seen, options.duplicates));
    output.finish();
  }
  return kDone;
}

}  // namespace

void add_inspect(CLI::App& app, Work& work) {
  const auto options = std::make_shared<InspectOptions>();
  CLI::App* command = app.add_subcommand(
      "inspect", "Counts, sizes, formats, broken files and near-duplicates of a folder of labelled images.");
  command->add_option("folder", options->folder, "DIR/<class>/* or DIR/{train,val,test}/<class>/*")
      ->required()
      ->type_name("DIR");
  command->add_option("--exclude", options->exclude, "leave a class out; may be given several times")
      ->type_name("CLASS")
      ->expected(1)
      ->take_all();
  command->add_option("--json", options->json, "write all that was found to FILE, or to standard output (-)")
      ->type_name("FILE|-");
  command->add_option("--sheet", options->sheet, "write a contact sheet of the classes and of the pairs")
      ->type_name("FILE.png");
  command->add_option("--duplicates", options->duplicates, "how many pairs are shown")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str()
      ->type_name("N");
  command->add_option("--threads", options->threads, "threads that decode, 0 for all cores")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str()
      ->type_name("N");
  command->callback([options, &work] { work = [options] { return inspect(*options); }; });
}

}  // namespace pila
