#include "apps/data/image_folder.h"

#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "apps/media/image_file.h"
#include "engine/core/error.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

std::optional<Part> part_named(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  static const std::map<std::string, Part> kNames = {
      {"train", Part::train},          {"training", Part::train}, {"val", Part::validation},
      {"valid", Part::validation},     {"test", Part::test},      {"testing", Part::test},
      {"validation", Part::validation}};
  const auto found = kNames.find(name);
  return found == kNames.end() ? std::nullopt : std::optional(found->second);
}

// Folders and files, links followed, sorted by the bytes of their names.
struct Listing {
  std::vector<fs::path> folders, files;
  std::size_t hidden = 0;
};

Listing list(const fs::path& folder) {
  const auto fail = [&](const std::error_code& error) {
    throw FileError(folder.string() + ": cannot be read: " + error.message());
  };
  Listing listing;
  std::error_code error;
  fs::directory_iterator entry(folder, error);
  if (error) fail(error);
  for (; entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with('.') || name == "__MACOSX") {
      ++listing.hidden;
      continue;
    }
    // A link to nothing counts as a file: it is named when it cannot be read.
    std::error_code ignored;
    (fs::is_directory(entry->path(), ignored) ? listing.folders : listing.files).push_back(entry->path());
  }
  if (error) fail(error);
  const auto by_bytes = [](const fs::path& a, const fs::path& b) { return a.native() < b.native(); };
  std::sort(listing.folders.begin(), listing.folders.end(), by_bytes);
  std::sort(listing.files.begin(), listing.files.end(), by_bytes);
  return listing;
}

bool is_image(const fs::path& file) {
  std::error_code ignored;
  return !fs::is_other(file, ignored) && media::looks_like_image(file);
}

std::string count_of(std::size_t count, const char* one, const char* many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

class Scan {
 public:
  explicit Scan(const std::vector<std::string>& exclude)
      : not_met_(exclude.begin(), exclude.end()), exclude_(not_met_) {}

  void take(const fs::path& root) {
    std::error_code ignored;
    const auto status = fs::status(root, ignored);
    if (!fs::exists(status)) throw FileError(root.string() + ": no such folder");
    if (!fs::is_directory(status)) {
      throw FileError(root.string() +
                      ": a folder with a folder for each class is expected, and this is a file");
    }
    name_ += (name_.empty() ? "" : ", ") + root.string();
    const Listing top = list(root);
    if (has_parts(top)) {
      take_parts(top);
    } else {
      take_classes(top, Part::whole);
    }
  }

  ImageFolder finish() {
    number_classes();
    describe();
    return std::move(result_);
  }

 private:
  // A class may be called "train" itself: only folders in it, and no pictures, make it a part.
  bool has_parts(const Listing& top) const {
    return std::any_of(top.folders.begin(), top.folders.end(), [](const fs::path& folder) {
      if (part_named(folder.filename().string()) != Part::train) return false;
      const Listing inside = list(folder);
      return !inside.folders.empty() && std::none_of(inside.files.begin(), inside.files.end(), is_image);
    });
  }

  void take_parts(const Listing& top) {
    std::map<Part, fs::path> found;
    take_stray(top);
    for (const auto& folder : top.folders) {
      const auto part = part_named(folder.filename().string());
      if (!part) {
        result_.warnings.push_back(folder.string() + ": passed over, it is neither train, val nor test");
        continue;
      }
      const auto [earlier, first] = found.emplace(*part, folder);
      if (!first) {
        throw FileError(folder.string() + ": one folder for each part is expected, and there is " +
                        earlier->second.filename().string() + " as well");
      }
      take_classes(list(folder), *part);
    }
  }

  void take_classes(const Listing& top, Part part) {
    take_stray(top);
    parts_.insert(part);
    for (const auto& folder : top.folders) {
      const std::string name = folder.filename().string();
      if (exclude_.count(name) > 0) {
        not_met_.erase(name);
        continue;
      }
      std::vector<LabelledImage>& images = classes_[name][part];
      const auto earlier = static_cast<std::ptrdiff_t>(images.size());  // of other folders
      std::set<std::pair<dev_t, ino_t>> visited;
      take_images(folder, "", part, visited, images);
      std::sort(images.begin() + earlier, images.end(), [](const LabelledImage& a, const LabelledImage& b) {
        return a.file.native() < b.file.native();
      });
    }
  }

  // What lies beside the folders that were expected.
  void take_stray(const Listing& listing) {
    const auto images =
        static_cast<std::size_t>(std::count_if(listing.files.begin(), listing.files.end(), is_image));
    stray_ += images;
    others_ += listing.files.size() - images + listing.hidden;
  }

  // A folder that was there before, by way of links, is not gone into again.
  void take_images(const fs::path& folder, const std::string& group, Part part,
                   std::set<std::pair<dev_t, ino_t>>& visited, std::vector<LabelledImage>& images) {
    struct stat status;
    if (stat(folder.c_str(), &status) == 0 && !visited.emplace(status.st_dev, status.st_ino).second) return;
    const Listing listing = list(folder);
    others_ += listing.hidden;
    for (const auto& file : listing.files) {
      if (is_image(file)) {
        images.push_back({file, 0, part, group});
      } else {
        ++others_;
      }
    }
    for (const auto& inner : listing.folders) {
      take_images(inner, group.empty() ? inner.filename().string() : group, part, visited, images);
    }
  }

  void number_classes() {
    const bool divided = parts_.count(Part::train) > 0;
    for (auto& [name, by_part] : classes_) {
      const auto label = static_cast<std::int32_t>(result_.classes.size());
      result_.classes.push_back(name);
      for (auto& [part, images] : by_part) {
        for (auto& image : images) {
          image.label = label;
          if (divided && image.part == Part::whole) image.part = Part::train;
          result_.images.push_back(std::move(image));
        }
      }
    }
  }

  void describe() {
    const std::string folder = name_ + ": ";
    if (stray_ > 0) {
      result_.warnings.push_back(folder + count_of(stray_, "image lies", "images lie") +
                                 " outside of the class folders, passed over");
    }
    if (others_ > 0) {
      result_.warnings.push_back(
          folder + count_of(others_, "file that is no image", "files that are no images") + ", passed over");
    }
    for (const auto& name : not_met_) {
      result_.problems.push_back(folder + "there is no class " + name + " to exclude");
    }
    if (result_.classes.empty()) {
      result_.problems.push_back(folder + "a folder for each class is expected, and there is none");
      return;
    }
    for (std::size_t label = 0; label < result_.classes.size(); ++label) describe_class(label);
    if (result_.classes.size() < 2) {
      result_.problems.push_back(folder + "two classes or more are expected, and there is only " +
                                 result_.classes[0]);
    }
  }

  void describe_class(std::size_t label) {
    std::map<Part, std::size_t> counts;
    for (const auto& image : result_.images) {
      if (image.label == static_cast<std::int32_t>(label)) ++counts[image.part];
    }
    const std::string& name = result_.classes[label];
    const std::string class_name = name_ + ": class " + name;
    if (counts.empty()) {
      result_.problems.push_back(class_name +
                                 " has no images; fill its folder, or leave it out with --exclude");
      return;
    }
    if (parts_.count(Part::train) == 0) return;
    if (counts.count(Part::train) == 0) {
      result_.problems.push_back(class_name + " has " + name_of(counts.begin()->first) +
                                 " images, but none to train on");
    }
    for (const Part part : {Part::validation, Part::test}) {
      if (parts_.count(part) > 0 && counts.count(part) == 0) {
        result_.warnings.push_back(class_name + " has no " + name_of(part) + " images");
      }
    }
  }

  std::string name_;               // of the folders, for people
  std::set<std::string> not_met_;  // excluded classes that were not seen so far
  const std::set<std::string> exclude_;
  std::map<std::string, std::map<Part, std::vector<LabelledImage>>> classes_;  // ordered by bytes
  std::set<Part> parts_;
  std::size_t stray_ = 0, others_ = 0;
  ImageFolder result_;
};

}  // namespace

const char* name_of(Part part) {
  switch (part) {
    case Part::train:
      return "train";
    case Part::validation:
      return "validation";
    case Part::test:
      return "test";
    case Part::whole:
      break;
  }
  return "whole";
}

ImageFolder scan_image_folders(const std::vector<fs::path>& folders,
                               const std::vector<std::string>& exclude) {
  Scan scan(exclude);
  for (const fs::path& folder : folders) scan.take(folder);
  return scan.finish();
}

ImageFolder scan_image_folder(const fs::path& folder, const std::vector<std::string>& exclude) {
  return scan_image_folders({folder}, exclude);
}

ImageFolder list_image_folders(const std::vector<fs::path>& folders,
                               const std::vector<std::string>& exclude) {
  ImageFolder listed = scan_image_folders(folders, exclude);
  if (!listed.problems.empty()) throw FileError(listed.problems.front());
  return listed;
}

}  // namespace pila
