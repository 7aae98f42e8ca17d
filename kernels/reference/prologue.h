// Numbers as a product reads them.
#pragma once

#include <cstdint>

#include "kernels/reference/epilogue.h"

namespace pila::kernels::reference {

// x of a channel, of `channels`.
template <class T>
T read(const Prologue& prologue, T x, std::int64_t channel, std::int64_t channels) {
  if (prologue.scaling == nullptr) return x;
  const T* of_channel = static_cast<const T*>(prologue.scaling) + channel;
  const double centred = static_cast<double>(x) - of_channel[0];
  return static_cast<T>(
      activate(prologue.activation, centred * of_channel[channels] + of_channel[2 * channels]));
}

}  // namespace pila::kernels::reference
