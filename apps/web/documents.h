// What the board says, as JSON and for Prometheus.
#pragma once

#include <string>
#include <vector>

#include "apps/store/store.h"
#include "apps/web/board.h"
#include "apps/web/web_server.h"

namespace pila {

// Strings that are not UTF-8 come with replacement characters.
std::string state_json(const Board::Summary& summary, const std::string& model, bool stores, bool classifies);
// program: a JSON object of the program's own, may be empty.
std::string statistics_json(const RecentTimes& times, const std::string& program);
std::string items_json(const std::vector<StoredItem>& items, const std::vector<std::string>& labels);
// heat_map: a JPEG, may be empty.
std::string explained_json(const WebServices::Explained& explained, const std::vector<std::string>& classes,
                           const std::vector<std::uint8_t>& heat_map, const std::string& warning);

// Text format 0.0.4.
std::string metrics_text(const Board::Summary& summary, const RecentTimes& times);

}  // namespace pila
