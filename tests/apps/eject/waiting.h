// Waiting for what another thread or process does.
#pragma once

#include <chrono>
#include <string>
#include <thread>

#include "apps/eject/ejector.h"
#include "engine/core/error.h"

namespace pila::test {

// Whether the condition comes true before patience ends.
template <typename Condition>
bool eventually(const Condition& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

inline Shot make_shot(const std::string& bin, std::int64_t item = 1) {
  return {bin, item, "zinc", 0.5, std::chrono::steady_clock::now()};
}

// What firing throws; empty when it throws nothing.
inline std::string error_of(Ejector& ejector, const Shot& shot) {
  try {
    ejector.fire(shot);
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

// Whether it fires in the end.
inline bool fires(Ejector& ejector, const Shot& shot) {
  return eventually([&] { return error_of(ejector, shot).empty(); });
}

}  // namespace pila::test
