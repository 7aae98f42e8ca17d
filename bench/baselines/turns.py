"""Programs that work when told to, and take turns, so that whatever else the machine does meets all of them."""

import os
import subprocess
import sys
import tempfile
import time

import numpy


class Program:
    """A process that says "ready", and how many MiB it has grown if it knows, and then obeys "run": it answers
    with milliseconds and a loss. Without a command it is left out from the beginning, for the reason given."""

    def __init__(self, name, command, threads, left_out=None):
        self.name, self.left_out, self.memory = name, left_out, None
        self.times, self.losses = [], []
        self.process = None
        if command:
            environment = dict(os.environ, OMP_NUM_THREADS=str(threads), TF_CPP_MIN_LOG_LEVEL="3")
            self.errors = tempfile.TemporaryFile("w+")
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=self.errors, text=True, env=environment)

    def wait_until_ready(self):
        """Whether it is; when not, `left_out` says why."""
        if self.process:
            answer = self.process.stdout.readline().split()
            if answer and answer[0] == "ready":
                self.memory = float(answer[1]) if len(answer) > 1 else None
                return True
            self.process.wait()
            self.errors.seek(0)
            self.left_out = (self.errors.read().strip().splitlines() or ["ended without a word"])[-1]
        print(f"  {self.name} is left out: {self.left_out}", file=sys.stderr)
        return False

    def run(self, times):
        """Keeps the median of so many runs; of several, the first only warms the caches."""
        answers = [self.run_once() for _ in range(times)]
        self.times.append(float(numpy.median([milliseconds for milliseconds, _ in answers[times > 1:]])))
        self.losses.append(answers[-1][1])

    def run_once(self):
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        milliseconds, loss = self.process.stdout.readline().split()
        return float(milliseconds), float(loss)

    def close(self):
        if self.process:
            self.process.stdin.close()
            self.process.stdout.close()
            self.process.wait()
            self.errors.close()


def take_turns(programs, rounds, pause, times=1, accept=lambda program: None):
    """Runs those that get ready and that `accept` has no objection to, Pila first among them; a turn is so
    many runs, and its time the median of all but the first. Returns those that ran."""
    ready = []
    for program in programs:
        if program.wait_until_ready():
            program.left_out = accept(program)
            if program.left_out:
                print(f"  {program.name} is left out: {program.left_out}", file=sys.stderr)
            else:
                ready.append(program)
    if not ready or not ready[0].name.startswith("pila"):
        sys.exit("Pila's program does not run")
    for round_number in range(rounds):
        first = round_number % len(ready)
        for program in ready[first:] + ready[:first]:
            program.run(times)
            time.sleep(pause)  # threads of the last one that still spin go to sleep
    for program in programs:
        program.close()
    return ready


def median_interval(values, generator):
    """The median with the 95% interval of 2000 bootstrap samples."""
    values = numpy.asarray(values)
    samples = numpy.median(generator.choice(values, (2000, len(values))), axis=1)
    return interval(numpy.median(values), samples)


def ratio_interval(peer, ours, generator):
    """The ratio of the medians with the 95% interval of 2000 bootstrap samples of rounds."""
    peer, ours = numpy.asarray(peer), numpy.asarray(ours)
    rounds = generator.integers(0, len(ours), (2000, len(ours)))
    samples = numpy.median(peer[rounds], axis=1) / numpy.median(ours[rounds], axis=1)
    return interval(numpy.median(peer) / numpy.median(ours), samples)


def interval(median, samples):
    low, high = numpy.percentile(samples, [2.5, 97.5])
    return {"median": float(median), "low": float(low), "high": float(high)}


def summary(ready, generator):
    """What goes into the results of each program: its ratio is to the first one's time."""
    return {program.name: {
        "milliseconds": median_interval(program.times, generator),
        "fastest": min(program.times),
        "ratio": ratio_interval(program.times, ready[0].times, generator),
        "loss": [program.losses[0], program.losses[-1]],
    } for program in ready}


def ratio_cell(program):
    ratio = program and program["ratio"]
    return f"{ratio['median']:.2f} ({ratio['low']:.2f}-{ratio['high']:.2f})" if ratio else ""
