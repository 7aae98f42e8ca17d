"""How well pila-live sorted a belt video of pila-dataset synth --belt: its JSON lines against truth.json.

Items are matched by the time at which their middle crossed the picture's. Lines of other types are passed over.
"""

import argparse
import json
import pathlib
import statistics
import sys

MOST_OFF_S = 0.5  # further from the truth, an item is another one


def read_lines(file):
    items, frames = [], []
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            kind = row.get("type")
            if kind == "item":
                row["passed_s"] = float(row["passed_s"])
                items.append(row)
            elif kind == "frame":
                row["index"] = int(row["index"])
                frames.append(row)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            sys.exit(f"{file}: line {number}: an item or frame as JSON is expected: {error!r}")
    return items, frames


def reach(truth, i):
    """How far, in seconds, a report may be off and still belong to item i rather than to its neighbours."""
    passed = truth[i]["passed_s"]
    gaps = [abs(truth[j]["passed_s"] - passed) / 2 for j in (i - 1, i + 1) if 0 <= j < len(truth)]
    return min([MOST_OFF_S] + gaps)


def match(truth, items):
    """Pairs of (item of the truth, report), the closest first; then reports that double one, and the invented."""
    pairs, doubled, invented, taken = [], [], [], set()
    nearest = []
    for report in items:
        i = min(range(len(truth)), key=lambda j: abs(truth[j]["passed_s"] - report["passed_s"]))
        nearest.append((abs(truth[i]["passed_s"] - report["passed_s"]), i, report))
    for off, i, report in sorted(nearest, key=lambda entry: entry[:2]):
        if off > reach(truth, i):
            invented.append(report)
        elif i in taken:
            doubled.append(report)
        else:
            taken.add(i)
            pairs.append((truth[i], report))
    return pairs, doubled, invented


def recognised(row):
    return bool(row.get("recognised", True))


def score_items(truth, items):
    pairs, doubled, invented = match(truth, items)
    right = [pair for pair in pairs if pair[1].get("label") == pair[0]["class"] and recognised(pair[1])]
    others = [pair for pair in pairs if not recognised(pair[1])]
    print(f"items: {len(truth)} in truth, {len(items)} reported: {len(pairs)} found, {len(doubled)} doubled, "
          f"{len(truth) - len(pairs)} missed, {len(invented)} invented")
    print(f"classes: {len(right)} of {len(truth)} items right ({len(right) / len(truth):.1%}), "
          f"{len(others)} called others, {len(pairs) - len(right) - len(others)} wrong")
    for expected, report in pairs:
        if recognised(report) and report.get("label") != expected["class"]:
            print(f"  item {expected['item']} at {expected['passed_s']:.2f} s: {expected['class']} "
                  f"taken for {report.get('label')}")
    if pairs:
        errors = [1000 * abs(report["passed_s"] - expected["passed_s"]) for expected, report in pairs]
        print(f"time of passing: median {statistics.median(errors):.1f} ms off, at most {max(errors):.1f} ms")


def score_frames(truth, frames, least_in_view, empty):
    classes = {item["item"]: item["class"] for item in truth["items"]}
    right = counted = quiet = bare = 0
    for row in frames:
        if not 0 <= row["index"] < len(truth["frames"]):
            sys.exit(f"frame {row['index']} is not in the truth, which has {len(truth['frames'])}")
        seen = truth["frames"][row["index"]]["items"]
        if not seen:
            bare += 1
            quiet += row.get("item") is None or row.get("label") == empty
        elif len(seen) == 1 and seen[0]["in_view"] >= least_in_view:
            counted += 1
            right += row.get("label") == classes[seen[0]["item"]]
    if counted:
        print(f"frames with one item, {least_in_view:.0%} of it in view: {right} of {counted} right "
              f"({right / counted:.1%})")
    if bare:
        print(f"frames of the bare belt: {quiet} of {bare} without an item ({quiet / bare:.1%})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("truth", type=pathlib.Path)
    parser.add_argument("lines", type=pathlib.Path, help="what pila-live wrote: JSON lines")
    parser.add_argument("--in-view", type=float, default=0.6, help="least share of an item for a frame to count")
    parser.add_argument("--empty", default="nothing", help="the class of the bare belt")
    options = parser.parse_args()
    truth = json.loads(options.truth.read_text())
    items, frames = read_lines(options.lines)
    score_items(truth["items"], items)
    if frames:
        score_frames(truth, frames, options.in_view, options.empty)


if __name__ == "__main__":
    main()
