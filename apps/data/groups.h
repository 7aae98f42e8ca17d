// Images that belong together, such as views of one specimen: a number for each image, the same within a
// group.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "apps/data/image_folder.h"

namespace pila {

// Every image by itself.
std::vector<std::int64_t> group_each(std::size_t images);

// By the folder below the class folder; images directly in a class folder stand alone.
std::vector<std::int64_t> group_by_folder(std::span<const LabelledImage> images);

// By what the pattern's one capture group finds in the file name: "IMG_(\d+)_". Images whose name does not
// match stand alone. Throws UsageError for a pattern that is wrong, has not one capture group, or matches no
// name.
std::vector<std::int64_t> group_by_name(std::span<const LabelledImage> images, const std::string& pattern);

// By the video that a frame was cut from, as `pila-dataset frames` names them: VIDEO_000123.jpg. Throws
// UsageError when no name is like that.
std::vector<std::int64_t> group_by_video(std::span<const LabelledImage> images);

}  // namespace pila
