#include "apps/training/data_set.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "apps/data/groups.h"
#include "apps/data/split.h"
#include "engine/core/error.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

std::vector<std::int64_t> groups_of(const std::vector<LabelledImage>& images, const std::string& by) {
  if (by.empty()) return group_each(images.size());
  if (by == "folder") return group_by_folder(images);
  if (by == "video") return group_by_video(images);
  return group_by_name(images, by);
}

// Pairs among readable images, as indices into the cache.
std::vector<DuplicatePair> find_twins(const ImageCache& cache, const std::vector<std::size_t>& readable) {
  std::vector<PerceptualHash> hashes;
  for (const std::size_t image : readable) hashes.push_back(cache.info(image).hash);
  std::vector<DuplicatePair> pairs = find_near_duplicates(hashes);
  for (DuplicatePair& pair : pairs) pair = {readable[pair.a], readable[pair.b], pair.distance};
  return pairs;
}

template <class T>
std::vector<T> at(const std::vector<T>& values, const std::vector<std::size_t>& indices) {
  std::vector<T> result;
  for (const std::size_t index : indices) result.push_back(values[index]);
  return result;
}

std::string counted(std::size_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

// Fewer held-out images than this say little: their accuracy's 95% interval is wider than 10 points.
constexpr double kEnoughToMeasure = 100;
constexpr int kDefaultFolds = 5;

Division divide_once(const DataSet& data, const FineTuneOptions& options) {
  const std::vector<std::size_t> images = data.readable();
  const Split split = split_images(at(data.labels, images), at(data.groups, images), options.validation,
                                   options.test, options.split_seed());
  Division division;
  division.test = at(images, split.test);
  division.rounds = {{at(images, split.train), at(images, split.validation)}};
  return division;
}

Division divide_into_folds(const DataSet& data, FineTuneOptions options, int folds) {
  options.validation = 0;
  Division division = divide_once(data, options);
  const std::vector<std::size_t> pool = std::move(division.rounds[0].train);
  division.rounds.clear();
  const auto held_out =
      fold_images(at(data.labels, pool), at(data.groups, pool), folds, options.split_seed());
  for (const auto& fold : held_out) {
    Round& round = division.rounds.emplace_back();
    round.held_out = at(pool, fold);
    std::ranges::set_difference(pool, round.held_out, std::back_inserter(round.train));
  }
  return division;
}

// A class that some round has nothing to train on of.
std::optional<std::int32_t> untrained_class(const DataSet& data, const Division& division) {
  for (const Round& round : division.rounds) {
    std::vector<bool> trained(data.classes.size());
    for (const std::size_t image : round.train) trained[static_cast<std::size_t>(data.labels[image])] = true;
    const auto found = std::ranges::find(trained, false);
    if (found != trained.end()) return static_cast<std::int32_t>(found - trained.begin());
  }
  return std::nullopt;
}

Division divide_at_random(const DataSet& data, const FineTuneOptions& options) {
  if (options.folds && *options.folds > 1) return divide_into_folds(data, options, *options.folds);
  Division once = divide_once(data, options);
  const auto held_out = static_cast<double>(once.rounds[0].held_out.size());
  const bool watches = options.recipe.monitor != Monitor::none;
  const std::set<std::int64_t> groups(data.groups.begin(), data.groups.end());
  if (options.folds || watches || held_out == 0 || held_out >= kEnoughToMeasure ||
      groups.size() < kDefaultFolds) {
    return once;
  }
  Division folds = divide_into_folds(data, options, kDefaultFolds);
  return untrained_class(data, folds) ? once : folds;
}

Division divide_by_parts(const DataSet& data, const FineTuneOptions& options) {
  if (options.folds && *options.folds > 1) {
    throw UsageError("--folds divides images that " + data.name +
                     " has divided already into train and validation");
  }
  Division division;
  division.by_folder = true;
  Round round;
  for (const std::size_t image : data.readable()) {
    const Part part = data.parts[image];
    (part == Part::test         ? division.test
     : part == Part::validation ? round.held_out
                                : round.train)
        .push_back(image);
  }
  if (round.held_out.empty()) {
    const std::vector<std::size_t> pool = std::move(round.train);
    const Split split = split_images(at(data.labels, pool), at(data.groups, pool), options.validation, 0,
                                     options.split_seed());
    round = {at(pool, split.train), at(pool, split.validation)};
  }
  division.rounds = {std::move(round)};
  return division;
}

bool holds(const std::vector<std::size_t>& sorted, std::size_t image) {
  return std::ranges::binary_search(sorted, image);
}

// Pairs (trained on, held out) of near-duplicates.
std::vector<std::pair<std::size_t, std::size_t>> torn_twins(const DataSet& data, const Division& division) {
  std::vector<std::pair<std::size_t, std::size_t>> torn;
  for (const Round& round : division.rounds) {
    for (const DuplicatePair& twin : data.twins) {
      for (const auto& [train, other] : {std::pair(twin.a, twin.b), std::pair(twin.b, twin.a)}) {
        if (!holds(round.train, train)) continue;
        if (holds(round.held_out, other) || holds(division.test, other)) torn.emplace_back(train, other);
      }
    }
  }
  return torn;
}

void name_twins(const DataSet& data, const std::vector<std::pair<std::size_t, std::size_t>>& torn,
                const NoteHook& note) {
  std::set<std::pair<std::size_t, std::size_t>> pairs;
  for (const auto& [train, other] : torn) pairs.insert(std::minmax(train, other));
  note("Warning: " + counted(pairs.size(), "near-duplicate") +
       " of training images among those that are held out, which flatters the result; --group-duplicates "
       "keeps them on one side:");
  for (const auto& [a, b] : pairs) {
    note("  " + data.cache->files()[a].string() + " ~ " + data.cache->files()[b].string());
  }
}

void check_classes(const DataSet& data, const Division& division) {
  const auto untrained = untrained_class(data, division);
  if (!untrained) return;
  throw FileError(data.name + ": class '" + data.classes[static_cast<std::size_t>(*untrained)] +
                  "' has no image to train on; add some, or leave it out with --exclude");
}

}  // namespace

std::vector<std::size_t> DataSet::readable() const {
  std::vector<std::size_t> images;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (cache->readable(i)) images.push_back(i);
  }
  return images;
}

DataSet read_data_set(const FineTuneOptions& options, std::int64_t size, const NoteHook& note,
                      const ReadingHooks& reading) {
  DataSet data;
  ImageFolder folder = list_image_folders(options.data, options.exclude);
  for (const std::string& warning : folder.warnings) note(warning);
  for (const fs::path& path : options.data) data.name += (data.name.empty() ? "" : ", ") + path.string();
  data.classes = folder.classes;
  std::vector<fs::path> files;
  for (const LabelledImage& image : folder.images) {
    files.push_back(image.file);
    data.labels.push_back(image.label);
    data.parts.push_back(image.part);
  }
  data.groups = groups_of(folder.images, options.group_by);
  data.cache = std::make_unique<ImageCache>(std::move(files), size, size, options.cache_bytes,
                                            options.threads, reading);
  const auto& failures = data.cache->failures();
  for (const ImageFailure& failure : failures) note(failure.reason);
  if (!failures.empty()) note(counted(failures.size(), "unreadable file") + " skipped");
  data.twins = find_twins(*data.cache, data.readable());
  if (options.group_duplicates) data.groups = merge_groups(data.groups, data.twins);
  data.fingerprint = data_fingerprint(*data.cache, data.labels);
  return data;
}

std::vector<std::size_t> Division::all_but_test() const {
  std::vector<std::size_t> images = rounds[0].train;
  images.insert(images.end(), rounds[0].held_out.begin(), rounds[0].held_out.end());
  std::ranges::sort(images);
  return images;
}

Division divide(const DataSet& data, const FineTuneOptions& options, const NoteHook& note) {
  const bool whole = std::ranges::all_of(data.parts, [](Part part) { return part == Part::whole; });
  Division division = whole ? divide_at_random(data, options) : divide_by_parts(data, options);
  const auto torn = torn_twins(data, division);
  if (!torn.empty() && !options.group_duplicates) name_twins(data, torn, note);
  if (!torn.empty() && options.group_duplicates) {  // by the folder's own parts
    std::size_t dropped = 0;
    for (const auto& pair : torn) dropped += std::erase(division.rounds[0].train, pair.first);
    note(counted(dropped, "image") + " not trained on: near-duplicates of images that are held out");
  }
  check_classes(data, division);
  return division;
}

std::string split_json(const DataSet& data, const Division& division) {
  using Json = nlohmann::json;
  const auto list = [&](const std::vector<std::size_t>& images) {
    Json json = Json::array();
    for (const std::size_t image : images) {
      json.push_back({{"file", data.cache->files()[image].string()}, {"label", data.labels[image]}});
    }
    return json;
  };
  const Json json = {{"classes", data.classes},
                     {"train", list(division.rounds[0].train)},
                     {"validation", list(division.rounds[0].held_out)},
                     {"test", list(division.test)}};
  return json.dump(1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace pila
