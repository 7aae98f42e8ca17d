// What a file is, by its first bytes.
#pragma once

#include <string>
#include <string_view>

namespace pila {

enum class FileKind { hdf5, zip, jpeg, png, gzip, tflite, git_lfs, html, text, unknown };

// What an HDF5 file begins with.
inline constexpr std::string_view kHdf5Signature = "\x89HDF\r\n\x1A\n";

// `beginning`: the first bytes of a file, 16 or more where it has them.
FileKind kind_of(std::string_view beginning);

// "a JPEG image".
std::string describe(FileKind kind);

}  // namespace pila
