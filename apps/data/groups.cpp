#include "apps/data/groups.h"

#include <functional>
#include <map>
#include <optional>
#include <regex>

#include "engine/core/error.h"

namespace pila {
namespace {

// Numbers the groups by first appearance; images without a key stand alone.
std::vector<std::int64_t> group_by_key(
    std::span<const LabelledImage> images,
    const std::function<std::optional<std::string>(const LabelledImage&)>& key_of) {
  std::map<std::string, std::int64_t> numbers;
  std::vector<std::int64_t> groups;
  std::int64_t next = 0;
  for (const auto& image : images) {
    const auto key = key_of(image);
    const bool fresh = !key || numbers.emplace(*key, next).second;
    groups.push_back(fresh ? next++ : numbers.at(*key));
  }
  return groups;
}

std::vector<std::int64_t> group_by_match(std::span<const LabelledImage> images, const std::regex& regex,
                                         const std::string& complaint) {
  bool any = false;
  auto groups = group_by_key(images, [&](const LabelledImage& image) -> std::optional<std::string> {
    const std::string name = image.file.filename().string();
    std::smatch match;
    if (!std::regex_search(name, match, regex)) return std::nullopt;
    any = true;
    return match[1].str();
  });
  if (!any && !images.empty()) throw UsageError(complaint);
  return groups;
}

}  // namespace

std::vector<std::int64_t> group_each(std::size_t images) {
  std::vector<std::int64_t> groups(images);
  for (std::size_t i = 0; i < images; ++i) groups[i] = static_cast<std::int64_t>(i);
  return groups;
}

std::vector<std::int64_t> group_by_folder(std::span<const LabelledImage> images) {
  return group_by_key(images, [](const LabelledImage& image) -> std::optional<std::string> {
    if (image.group.empty()) return std::nullopt;
    return std::to_string(image.label) + "/" + image.group;
  });
}

std::vector<std::int64_t> group_by_name(std::span<const LabelledImage> images, const std::string& pattern) {
  const std::string name = "[group by name] ";
  std::regex regex;
  try {
    regex.assign(pattern);
  } catch (const std::regex_error& error) {
    throw UsageError(name + "a regular expression is expected, got " + pattern + ": " + error.what());
  }
  if (regex.mark_count() != 1) {
    throw UsageError(name + "one group in parentheses is expected, got " +
                     std::to_string(regex.mark_count()) + " in " + pattern);
  }
  return group_by_match(images, regex, name + "no file name matches " + pattern);
}

std::vector<std::int64_t> group_by_video(std::span<const LabelledImage> images) {
  static const std::regex kFrameName(R"(^([^]+)_\d{6,}\.[^.]+$)");
  return group_by_match(
      images, kFrameName,
      "[group by video] no file name is like VIDEO_000123.jpg, as pila-dataset frames writes");
}

}  // namespace pila
