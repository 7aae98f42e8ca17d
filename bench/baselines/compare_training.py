"""Measures training from image files in Pila against PyTorch and Keras: one run, same files, same cores.

Each program decodes the files, augments (flips, rotation, contrast, brightness) and trains MobileNetV2 with
AdamW; they take turns. Rates are images a second; ratios are Pila's median rate over the peer's, with the 95%
interval: above 1 Pila is faster.
"""

import argparse
import itertools
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

import numpy

from machine import cpu_name, results_stem
from turns import Program, ratio_cell, summary, take_turns

HERE = pathlib.Path(__file__).parent
PEERS = ["torch", "torch-compile", "keras"]
ENDINGS = {".jpg", ".jpeg", ".png"}


def draw_images(dataset_program, folder, images, size):
    """JPEG files of the size that a camera's crops have."""
    classes = 8
    subprocess.run([dataset_program, "synth", "--out", folder, "--size", str(size), "--classes", str(classes),
                    "--images", str(-(-images // classes))], check=True, stderr=subprocess.DEVNULL)


def write_list(file, folder, images):
    """A shuffled list of so many images from class folders, some of them several times if need be."""
    classes = sorted({path.relative_to(folder).parts[0] for path in folder.rglob("*") if path.is_file()})
    found = [(classes.index(path.relative_to(folder).parts[0]), path.resolve())
             for path in sorted(folder.rglob("*")) if path.suffix.lower() in ENDINGS]
    if not found:
        sys.exit(f"{folder}: images in class folders are expected")
    random.Random(0).shuffle(found)
    chosen = list(itertools.islice(itertools.cycle(found), images))
    file.write("".join(f"{label} {path}\n" for label, path in chosen))
    file.flush()


def command_of(peer, options):
    if peer == "keras":
        return [options.keras_python, str(HERE / "training_keras.py")]
    return [sys.executable, str(HERE / "training_torch.py"), "--peer", peer]


def measure(task, options, list_file):
    arguments = ["--list", list_file, "--statistics", task["statistics"], "--width", str(options.width),
                 "--size", str(options.size), "--batch", str(options.batch), "--threads", str(options.threads),
                 "--cache-mb", str(4096 if task["cached"] else 0)]
    programs = [Program("pila", [options.pila, *arguments], options.threads)]
    programs += [Program(peer, [*command_of(peer, options), *arguments], options.threads)
                 for peer in options.peers]
    programs = summary(take_turns(programs, options.rounds, options.pause), numpy.random.default_rng(1))
    for program in programs.values():
        program["images_per_second"] = options.images / program["milliseconds"]["median"] * 1e3
    return dict(task, programs=programs)


def title(task):
    return f"{task['statistics']} statistics, " + ("decoded before" if task["cached"] else "decoded each time")


def table(results, options):
    lines = [f"| width {options.width}, {options.size}, batch {options.batch} | pila, images/s | "
             + " | ".join(f"{name}, images/s: ratio" for name in options.peers) + " |",
             "|---|---|" + "---|" * len(options.peers)]
    for result in results:
        cells = [title(result), f"{result['programs']['pila']['images_per_second']:.0f}"]
        for name in options.peers:
            program = result["programs"].get(name)
            cells.append(f"{program['images_per_second']:.0f}: {ratio_cell(program)}" if program else "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def version(python, package):
    script = f"import importlib.metadata as m; print(m.version('{package}'))"
    return subprocess.run([python, "-c", script], capture_output=True, text=True).stdout.strip() or "missing"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pila", required=True, help="the program pila-bench-training")
    parser.add_argument("--dataset-program", required=True, help="the program pila-dataset")
    parser.add_argument("--results", required=True, type=pathlib.Path, help="folder for .json and .md")
    parser.add_argument("--data", type=pathlib.Path, help="class folders (default: pictures drawn for this)")
    parser.add_argument("--images", type=int, default=192, help="in one run")
    parser.add_argument("--drawn-size", type=int, default=640, help="side of drawn pictures")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--width", type=float, default=0.35)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--peers", nargs="+", default=PEERS, choices=PEERS)
    parser.add_argument("--statistics", nargs="+", default=["frozen", "batch"], choices=["frozen", "batch"])
    parser.add_argument("--keras-python", default=sys.executable, help="Python that has Keras")
    parser.add_argument("--pause", type=float, default=0.2, help="seconds between two runs")
    options = parser.parse_args()

    # As many cores for everyone, whatever threads a library starts.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:options.threads])
    tasks = [dict(statistics=statistics, cached=cached)
             for statistics in options.statistics for cached in (False, True)]
    results = []
    with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile("w", suffix=".list") as list_file:
        data = options.data or pathlib.Path(folder)
        if not options.data:
            draw_images(options.dataset_program, folder, options.images, options.drawn_size)
        write_list(list_file, data, options.images)
        for task in tasks:
            print(title(task), file=sys.stderr)
            results.append(measure(task, options, list_file.name))
            for name, program in results[-1]["programs"].items():
                print(f"  {name:14} {program['images_per_second']:7.1f} images/s; Pila's rate is "
                      f"{program['ratio']['median']:.2f} of it; loss {program['loss'][0]:.3f} to "
                      f"{program['loss'][1]:.3f}", file=sys.stderr)
    about = {"cpu": cpu_name(), "threads": options.threads, "data": str(options.data or "drawn"),
             "images": options.images, "torch": version(sys.executable, "torch"),
             "keras": version(options.keras_python, "keras"),
             "tensorflow": version(options.keras_python, "tensorflow-cpu")}
    drawn = f"JPEG files of {options.drawn_size} pixels" if not options.data else f"files of {options.data}"
    text = (f"{about['cpu']}, {options.threads} threads, float32, PyTorch {about['torch']}, Keras "
            f"{about['keras']} on TensorFlow {about['tensorflow']}; {drawn}.\nRatio: Pila's rate over the peer's "
            f"(medians, 95% interval); above 1 Pila is faster.\n\n{table(results, options)}\n")
    options.results.mkdir(parents=True, exist_ok=True)
    stem = results_stem() + "-training"
    (options.results / f"{stem}.json").write_text(json.dumps(dict(about, results=results), indent=1) + "\n")
    (options.results / f"{stem}.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
