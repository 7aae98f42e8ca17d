// Labelled photographs as people keep them: a folder for each class.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace pila {

// What a folder says its images are for; `whole` where it has no such sub-folders.
enum class Part { whole, train, validation, test };
const char* name_of(Part part);  // "train"

struct LabelledImage {
  std::filesystem::path file;
  std::int32_t label = 0;  // index into the classes
  Part part = Part::whole;
  // The first folder below the class folder, such as a specimen or a video; empty for images directly in it.
  std::string group;
};

struct ImageFolder {
  std::vector<std::string> classes;   // folder names, sorted by their bytes
  std::vector<LabelledImage> images;  // sorted by class, part and path
  std::vector<std::string> warnings;  // for people: files passed over and the like
  std::vector<std::string> problems;  // what keeps the folder from being trained on
};

// Lists DIR/<class>/* or, where there is a folder for training images (train, Train, training), DIR/<part>/
// <class>/* with parts train, validation (val, valid, validation) and test (test, testing). Class folders are
// searched with all below them. An image is what its content or its name's ending says is one; hidden files
// and all others are passed over. Classes named in `exclude` are left out. Throws FileError when the folder
// is absent or a part of it cannot be read.
ImageFolder scan_image_folder(const std::filesystem::path& folder, const std::vector<std::string>& exclude);

// Several folders as if they were one: classes of one name are one, their images in the order of the folders.
// Beside a folder that has parts, one that has none is for training.
ImageFolder scan_image_folders(const std::vector<std::filesystem::path>& folders,
                               const std::vector<std::string>& exclude);

// The same; the first problem is thrown as a FileError: fewer than two classes, a class without images, a
// class that is not among the training images, an excluded class that is not there.
ImageFolder list_image_folders(const std::vector<std::filesystem::path>& folders,
                               const std::vector<std::string>& exclude);

}  // namespace pila
