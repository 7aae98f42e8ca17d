#include "weights/file_kind.h"

#include <algorithm>

namespace pila {
namespace {

using namespace std::string_view_literals;

struct Signature {
  FileKind kind;
  std::size_t offset;
  std::string_view bytes;
};

constexpr Signature kSignatures[] = {
    {FileKind::hdf5, 0, kHdf5Signature},
    {FileKind::zip, 0, "PK\x03\x04"sv},
    {FileKind::jpeg, 0, "\xFF\xD8\xFF"sv},
    {FileKind::png, 0, "\x89PNG\r\n\x1A\n"sv},
    {FileKind::gzip, 0, "\x1F\x8B"sv},
    {FileKind::tflite, 4, "TFL3"sv},
    {FileKind::git_lfs, 0, "version https://git-lfs"sv},
    {FileKind::html, 0, "<!DOCTYPE"sv},
    {FileKind::html, 0, "<!doctype"sv},
    {FileKind::html, 0, "<html"sv},
};

}  // namespace

FileKind kind_of(std::string_view beginning) {
  for (const Signature& signature : kSignatures) {
    if (beginning.size() >= signature.offset &&
        beginning.substr(signature.offset).starts_with(signature.bytes)) {
      return signature.kind;
    }
  }
  const bool is_text = !beginning.empty() && std::ranges::all_of(beginning, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte >= 0x20 && byte != 0x7F) || c == '\n' || c == '\r' || c == '\t';
  });
  return is_text ? FileKind::text : FileKind::unknown;
}

std::string describe(FileKind kind) {
  switch (kind) {
    case FileKind::hdf5:
      return "HDF5";
    case FileKind::zip:
      return "a zip archive";
    case FileKind::jpeg:
      return "a JPEG image";
    case FileKind::png:
      return "a PNG image";
    case FileKind::gzip:
      return "a gzip file";
    case FileKind::tflite:
      return "a TensorFlow Lite model";
    case FileKind::git_lfs:
      return "a Git LFS pointer (run git lfs pull)";
    case FileKind::html:
      return "a web page";
    case FileKind::text:
      return "text";
    case FileKind::unknown:
      break;
  }
  return "something else";
}

}  // namespace pila
