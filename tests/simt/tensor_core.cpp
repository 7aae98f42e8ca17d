#include "tests/simt/tensor_core.h"

#include <cstdint>
#include <cstring>

#include "kernels/args/half.h"
#include "tests/simt/multiprocessor.h"

namespace pila::simt {
namespace {

constexpr unsigned kRows = 16, kColumns = 8;

// Neighbours in the depth that share 32 bits.
template <class T>
struct Share {
  static constexpr unsigned kNumbers = 2;
  static float number(unsigned bits, unsigned i) {
    return to_float(T{static_cast<std::uint16_t>(bits >> 16 * i)});
  }
};
// The last 13 bits of a TF32 are not looked at.
template <>
struct Share<float> {
  static constexpr unsigned kNumbers = 1;
  static float number(unsigned bits, unsigned) { return kernels::float_of(bits & ~0x1FFFu); }
};

struct Product {
  float* sums;
  const unsigned* a;
  const unsigned* b;
};

template <class T>
void multiply_add_warp(Deposits lanes) {
  constexpr unsigned kNumbers = Share<T>::kNumbers, kDepth = 8 * kNumbers;
  float a[kRows][kDepth], b[kDepth][kColumns], sums[kRows][kColumns];
  const auto for_lanes = [&](const auto& act) {
    for (unsigned lane = 0; lane < kWarp; ++lane) {
      act(*static_cast<const Product*>(lanes[lane]), lane / 4, lane % 4);
    }
  };
  for_lanes([&](const Product& mine, unsigned group, unsigned member) {
    for (unsigned i = 0; i < kNumbers; ++i) {
      const unsigned first = member * kNumbers + i;
      for (unsigned part = 0; part < 4; ++part) {
        a[group + part % 2 * 8][first + part / 2 * 4 * kNumbers] = Share<T>::number(mine.a[part], i);
      }
      for (unsigned part = 0; part < 2; ++part) {
        b[first + part * 4 * kNumbers][group] = Share<T>::number(mine.b[part], i);
      }
    }
    for (unsigned i = 0; i < 4; ++i) sums[group + i / 2 * 8][member * 2 + i % 2] = mine.sums[i];
  });
  for (unsigned row = 0; row < kRows; ++row) {
    for (unsigned p = 0; p < kDepth; ++p) {
      for (unsigned column = 0; column < kColumns; ++column) sums[row][column] += a[row][p] * b[p][column];
    }
  }
  for_lanes([&](const Product& mine, unsigned group, unsigned member) {
    for (unsigned i = 0; i < 4; ++i) mine.sums[i] = sums[group + i / 2 * 8][member * 2 + i % 2];
  });
}

struct Load {
  unsigned* part;
  const void* row;
};

void load_matrices_warp(Deposits lanes, bool transposed) {
  for (unsigned matrix = 0; matrix < 4; ++matrix) {
    std::uint16_t numbers[8][8];
    for (unsigned row = 0; row < 8; ++row) {
      std::memcpy(numbers[row], static_cast<const Load*>(lanes[matrix * 8 + row])->row, sizeof numbers[row]);
    }
    for (unsigned lane = 0; lane < kWarp; ++lane) {
      const unsigned group = lane / 4, pair = lane % 4 * 2;
      const unsigned first = transposed ? numbers[pair][group] : numbers[group][pair];
      const unsigned second = transposed ? numbers[pair + 1][group] : numbers[group][pair + 1];
      static_cast<const Load*>(lanes[lane])->part[matrix] = first | second << 16;
    }
  }
}

}  // namespace

template <class T>
void multiply_add(float* sums, const unsigned* a, const unsigned* b) {
  Product mine{sums, a, b};
  if (const Deposits lanes = meet(kWholeWarp, "mma.sync", &mine)) {
    multiply_add_warp<T>(lanes);
    depart(kWholeWarp);
  }
}

unsigned round_to_tf32(unsigned number) {
  return kernels::bits_of(kernels::to_tf32(kernels::float_of(number)));
}

template void multiply_add<float>(float*, const unsigned*, const unsigned*);
template void multiply_add<kernels::Float16>(float*, const unsigned*, const unsigned*);
template void multiply_add<kernels::BFloat16>(float*, const unsigned*, const unsigned*);

void load_matrices(unsigned (&part)[4], const void* row, bool transposed) {
  check_shared_access(row, 16);
  Load mine{part, row};
  if (const Deposits lanes = meet(kWholeWarp, "ldmatrix", &mine)) {
    load_matrices_warp(lanes, transposed);
    depart(kWholeWarp);
  }
}

}  // namespace pila::simt
