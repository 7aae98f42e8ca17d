// A file from the internet, whole or not at all.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace pila {

struct Download {
  std::string url;  // http or https
  std::filesystem::path file;
  std::uint64_t bytes = 0;  // 0: not known
  std::string md5;          // empty: not known
  std::string signature;    // what it begins with; empty: anything
  // Called now and then with what has arrived and the total (0: not known). False gives up; what has arrived
  // stays for the next attempt.
  std::function<bool(std::uint64_t arrived, std::uint64_t total)> progress;
  std::chrono::seconds patience{30};  // for a connection, and without a byte on it
};

// Fetches into "<file>.part", going on where an earlier attempt ended (and from the start
// when that does not give the file), checks size, MD5 and signature and
// renames. Makes the file's folder. Throws FileError that names the URL: no connection, an answer that is not
// the file, cut off, wrong size or MD5 (what arrived is then removed), a full disk, another process at it,
// given up.
void download(const Download& request);

}  // namespace pila
