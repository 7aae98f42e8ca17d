// For tests of products with factors of bfloat16.
#pragma once

#include <gtest/gtest.h>

#include "kernels/cpu/cpu.h"

// Skips the rest of a test where the processor has none.
#define PILA_NEEDS_BFLOAT16()                                       \
  if (const char* lacks = ::pila::kernels::cpu::table().lacks_bf16) \
  GTEST_SKIP() << "this processor lacks " << lacks
