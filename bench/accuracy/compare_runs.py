"""Compares two ways of training, run by run: the n-th result of one with the n-th of the other.

A result is a JSON file with "accuracy" and, for McNemar's test, "predictions": what train_torch.py writes and
what a run folder's report.json holds. Intervals are at 95%, by Student's t distribution.
"""

import argparse
import json
import pathlib

import numpy
from scipy import stats

PERCENT = 100


def read(file):
    return json.loads((file / "report.json" if file.is_dir() else file).read_text())


def interval(values):
    """Mean and the interval's half width, which one value does not have."""
    values = numpy.asarray(values, float)
    if len(values) < 2:
        return values.mean(), float("nan")
    return values.mean(), stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5


def describe(name, results):
    accuracies = [PERCENT * result["accuracy"] for result in results]
    mean, half = interval(accuracies)
    deviation = numpy.std(accuracies, ddof=1) if len(accuracies) > 1 else float("nan")
    print(f"{name}: mean {mean:.2f} +- {half:.2f} (deviation {deviation:.2f}, lowest {min(accuracies):.2f}, "
          f"highest {max(accuracies):.2f}) of {len(accuracies)} runs")
    print("  " + "  ".join(f"{accuracy:.2f}" for accuracy in accuracies))


def right_by_file(result):
    return {entry["file"]: entry["predicted"] == entry["label"] for entry in result["predictions"]}


def mcnemar(first, second):
    """Counts of images that only one of the two has right, and the exact two-sided test's p."""
    only_first = only_second = 0
    for mine, theirs in zip(first, second, strict=True):
        a, b = right_by_file(mine), right_by_file(theirs)
        if a.keys() != b.keys():
            raise SystemExit(f"compare_runs: measured on different images: {len(a.keys() ^ b.keys())} of them "
                             "are in one of the results alone")
        only_first += sum(a[file] and not b[file] for file in a)
        only_second += sum(b[file] and not a[file] for file in a)
    different = only_first + only_second
    p = stats.binomtest(only_first, different).pvalue if different else 1.0
    return only_first, only_second, p


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", nargs="+", required=True, type=pathlib.Path, help="JSON files or run folders")
    parser.add_argument("--second", nargs="+", type=pathlib.Path, default=[], help="as many, in the same order")
    options = parser.parse_args()
    first, second = ([read(file) for file in files] for files in (options.first, options.second))
    describe("first", first)
    if not second:
        return
    describe("second", second)
    if len(first) != len(second):
        parser.error(f"as many results of both are expected, got {len(first)} and {len(second)}")
    differences = [PERCENT * (a["accuracy"] - b["accuracy"]) for a, b in zip(first, second, strict=True)]
    mean, half = interval(differences)
    print(f"first - second, paired: {mean:+.2f} +- {half:.2f}, from {mean - half:+.2f} to {mean + half:+.2f}")
    if all("predictions" in result for result in first + second):
        only_first, only_second, p = mcnemar(first, second)
        note = "" if len(first) == 1 else "; images that are in several runs count each time, so p flatters"
        print(f"McNemar's exact test: {only_first} images right in first alone, {only_second} in second alone, "
              f"p = {p:.3g}{note}")


if __name__ == "__main__":
    main()
