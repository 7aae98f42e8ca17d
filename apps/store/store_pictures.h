// Pictures of a store to learn from, as a folder for each class.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace pila {

// Whether the file is an SQLite database, such as a store, by its content.
bool looks_like_store(const std::filesystem::path& file);

// Pictures that a person has labelled, under that label, and, where they are wanted, those that nobody has
// looked at, under the label that was decided.
struct PictureChoice {
  std::optional<double> least_probability;  // of verdicts that nobody has looked at; none: they are left out
  bool doubtful = false;                    // whether such verdicts may be doubtful
};

struct ExportedPictures {
  std::size_t pictures = 0;
  std::vector<std::string> warnings;  // for people: pictures that are none, and were passed over
};

// Writes folder/<label>/<id>.jpg. The folder is to be new or empty, and is complete or left as it was.
// Another process may write to the store meanwhile. go_on is asked before each picture; when it says no,
// Error "interrupted" is thrown. Throws FileError when there is no such picture, for a file that is no store,
// for a label that is_class_name() refuses, and for a folder that cannot be written.
ExportedPictures export_pictures(const std::filesystem::path& store, const std::filesystem::path& folder,
                                 const PictureChoice& choice, const std::function<bool()>& go_on);

}  // namespace pila
