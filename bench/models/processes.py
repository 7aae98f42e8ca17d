"""Measures how fast pila-finetune trains in several processes, beside one process with as many threads.

All ways train the same short run in turns, round after round. Of each run the fastest epoch counts, since whatever
else a machine does only slows; what is compared is the ratio of two ways in one round. A hundred photographs or two
are enough.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time


def rate_of(command, epochs):
    """Photographs a second in the fastest epoch but the first."""
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        said, images, ends = [], None, []
        for line in process.stderr:
            said.append(line)
            if match := re.match(r"(\d+) images of \d+ classes", line):
                images = int(match[1])
            elif line.startswith("epoch "):
                ends.append(time.monotonic())
    if process.returncode != 0 or images is None or len(ends) != epochs:
        sys.exit(f"processes: {' '.join(command)}\n{''.join(said)}")
    return images / min(end - begin for begin, end in zip(ends, ends[1:]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", help="pila-finetune")
    parser.add_argument("data", help="a folder of photographs, with a folder for each class")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--width", default="0.35")
    parser.add_argument("--size", default="128")
    parser.add_argument("--batch", default="32")
    parser.add_argument("--mpirun", default="mpirun --bind-to none", help="with its options")
    options = parser.parse_args()

    train = [options.program, "--data", options.data, "--weights", "none", "--width", options.width,
             "--size", options.size, "--batch", options.batch, "--validation", "0", "--no-refit",
             "--stage", f"epochs={options.epochs},lr=0.0001"]

    def launch(processes, threads):
        return options.mpirun.split() + ["-n", str(processes)] + train + ["--threads", str(threads)]

    n = options.processes
    ways = {
        "1 process, 1 thread": launch(1, 1),
        f"{n} processes, 1 thread each": launch(n, 1),
        f"1 process, {n} threads": train + ["--threads", str(n)],
    }
    rates = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds):
            for i, (way, command) in enumerate(ways.items()):
                rates[way].append(rate_of(command + ["--out", f"{folder}/{number}-{i}"], options.epochs))
    alone = next(iter(rates.values()))
    print("| | photographs/s, median | of one process with one thread: median (lowest-highest) |\n|---|---|---|")
    for way, measured in rates.items():
        ratios = [rate / one for rate, one in zip(measured, alone)]
        print(f"| {way} | {statistics.median(measured):.0f} | "
              f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f}) |")


if __name__ == "__main__":
    main()
