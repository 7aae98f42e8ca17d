// What the tests of the store share.
#pragma once

#include <sqlite3.h>

#include <filesystem>
#include <stdexcept>
#include <string>

#include "apps/store/store.h"
#include "tests/apps/data/photographs.h"

namespace pila::test {

// Runs SQL on a database file past the store, and returns the first column of the last row.
inline std::string run_sql(const std::filesystem::path& file, const std::string& sql) {
  sqlite3* database = nullptr;
  std::string answer;
  const auto take = [](void* to, int, char** values, char**) {
    *static_cast<std::string*>(to) = values[0] == nullptr ? "" : values[0];
    return 0;
  };
  bool good = sqlite3_open(file.c_str(), &database) == SQLITE_OK;
  good = good && sqlite3_exec(database, sql.c_str(), take, &answer, nullptr) == SQLITE_OK;
  const std::string error = sqlite3_errmsg(database);
  sqlite3_close(database);
  if (!good) throw std::runtime_error(sql + ": " + error);
  return answer;
}

inline StoredItem stored_item(const std::string& label, bool doubtful) {
  StoredItem item;
  item.time = 1'700'000'000.25;
  item.source = "camera:0";
  item.label = label;
  item.probability = 0.75;
  item.probabilities = {0.75F, 0.2F, 0.05F};
  item.frames = 12;
  item.model = "0123456789abcdef";
  item.doubtful = doubtful;
  return item;
}

}  // namespace pila::test
