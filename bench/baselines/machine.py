"""The name of this machine's processor, and of the files that hold what was measured on it."""

import pathlib
import platform
import re

# What a processor multiplies with, the widest first, by Linux' names of its features.
INSTRUCTIONS = {"amx_tile": "AMX", "avx512f": "AVX-512", "avx2": "AVX2"}


def cpu_name():
    """With its instructions: one maker's processors of many years may have the same name."""
    facts = {}
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    name = facts.get("model name") or facts.get("Model") or platform.machine()
    features = facts.get("flags", "").split()
    return ", ".join([name, *[known for feature, known in INSTRUCTIONS.items() if feature in features][:1]])


def results_stem():
    """The CPU's name as the beginning of a file's."""
    return "_".join(re.findall(r"\w+", cpu_name()))


if __name__ == "__main__":
    print(results_stem())
