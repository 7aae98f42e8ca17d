// What pila-live is asked to do with a stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "apps/capture/frame_source.h"
#include "apps/items/decider.h"
#include "apps/live/classifier.h"
#include "apps/store/store.h"

namespace pila {

struct StreamOptions {
  std::filesystem::path model, labels;
  Classifier::Options network;
  bool explain_plan = false;
  SourceOptions source;

  DecisionOptions decision;
  std::string empty_class;        // its name; becomes decision.empty_class
  std::string trigger;            // an outside signal, see open_trigger(); empty: none
  std::vector<std::string> bins;  // see parse_bin_rule()

  std::string json;  // see open_lines(); empty: text on standard output
  bool json_frames = false;
  std::size_t top = 5;
  std::filesystem::path video;
  bool window = false;
  StoreOptions store;  // without a file: none
  double doubtful_below = 0.9;
  std::vector<std::string> ejectors;
  std::string http;  // HOST:PORT; empty: no page
  std::string http_token;

  std::filesystem::path statistics;  // JSON at the end; empty: none
  bool watch_model = false;
  double heartbeat_s = 60;  // between two lines on how it goes; 0: none
};

}  // namespace pila
