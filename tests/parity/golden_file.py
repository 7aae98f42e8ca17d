"""What the generator of golden files and the C++ tests both know: numbers by counter, and the file format.

A golden file is text, then numbers. Its first line is "pila-golden RECORDS"; then comes one line for each
record, "KIND NAME ELEMENTS"; then zero bytes up to a multiple of 8, then the records' numbers in order, little
endian. KIND says what is kept of a tensor with so many elements:

  values  every element, float64
  full    every element, float32, for tensors too many for float64 (a digest of the same name holds it exactly)
  digest  float64: the Euclidean norm, four sums of the elements with random signs, 64 sampled elements
"""

import numpy as np

SIGNED_SUMS = 4
SAMPLES = 64


def seed_of(name):
    """FNV-1a, 64 bits."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return seed


def _philox(counter, key):
    """Philox4x32-10 of counters [n, 4] under one 64-bit key."""
    c = [counter[:, i].astype(np.uint64) for i in range(4)]
    key0, key1 = key & 0xFFFFFFFF, key >> 32
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        product0 = np.uint64(0xD2511F53) * c[0]
        product1 = np.uint64(0xCD9E8D57) * c[2]
        c = [
            (product1 >> np.uint64(32)) ^ c[1] ^ np.uint64(key0),
            product1 & low,
            (product0 >> np.uint64(32)) ^ c[3] ^ np.uint64(key1),
            product0 & low,
        ]
        key0 = (key0 + 0x9E3779B9) & 0xFFFFFFFF
        key1 = (key1 + 0xBB67AE85) & 0xFFFFFFFF
    return c


def units(name, count):
    """`count` numbers in [0, 1) with 53 random bits, the same as test::random_unit(seed_of(name), i)."""
    blocks = (count + 1) // 2
    counter = np.zeros((blocks, 4), np.uint64)
    counter[:, 0] = np.arange(blocks, dtype=np.uint64)
    c = _philox(counter, seed_of(name))
    bits = np.empty(2 * blocks, np.uint64)
    bits[0::2] = (c[0] << np.uint64(21)) | (c[1] >> np.uint64(11))
    bits[1::2] = (c[2] << np.uint64(21)) | (c[3] >> np.uint64(11))
    return bits[:count].astype(np.float64) * 2.0**-53


def uniform(name, shape, low=-1.0, high=1.0):
    """Uniform in [low, high), rounded to float32 so that both precisions start from the same numbers."""
    count = int(np.prod(shape))
    return (low + (high - low) * units(name, count)).astype(np.float32).astype(np.float64).reshape(shape)


def digest(values):
    values = np.asarray(values, np.float64).ravel()
    bits = np.floor(units("signs", values.size) * 2**SIGNED_SUMS).astype(np.int64)
    sums = [np.sum(np.where((bits >> s) & 1, values, -values)) for s in range(SIGNED_SUMS)]
    samples = values[(units("samples", SAMPLES) * values.size).astype(np.int64)]
    return np.concatenate([[np.linalg.norm(values)], sums, samples])


class GoldenFile:
    def __init__(self):
        self._records = []

    def values(self, name, values):
        self._add("values", name, np.asarray(values, np.float64))

    def full(self, name, values):
        self._add("full", name, np.asarray(values, np.float32))

    def tensor(self, name, values):
        """The digest, or every element where these are fewer."""
        values = np.asarray(values, np.float64)
        if values.size <= 1 + SIGNED_SUMS + SAMPLES:
            self.values(name, values)
        else:
            self._add("digest", name, digest(values), values.size)

    def _add(self, kind, name, numbers, elements=None):
        if not np.all(np.isfinite(numbers)):
            raise ValueError(f"{name} is not finite")
        self._records.append((kind, name, elements or numbers.size, numbers.ravel()))

    def write(self, path):
        lines = [f"pila-golden {len(self._records)}"]
        lines += [f"{kind} {name} {elements}" for kind, name, elements, _ in self._records]
        header = ("\n".join(lines) + "\n").encode()
        with open(path, "wb") as file:
            file.write(header + b"\0" * (-len(header) % 8))
            for _, _, _, numbers in self._records:
                file.write(numbers.astype(numbers.dtype.newbyteorder("<")).tobytes())
        print(path, file_size(path))


def file_size(path):
    with open(path, "rb") as file:
        return file.seek(0, 2)
