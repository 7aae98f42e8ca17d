"""The battery paper's experiments (Blum, Wieczorek and Stelldinger, 2.3 and table 3) on drawn belt video.

Draws videos with pila-dataset synth --belt, sorts their frames into folders of classes as the truth tells,
trains with pila-finetune by the paper's recipe, measures with pila-evaluate, and prints two tables: training
on every frame of one video, and on every tenth frame of several with none, half and all layers frozen. What
the work folder holds already is not done again.
"""

import argparse
import csv
import json
import os
import pathlib
import shutil
import subprocess
import sys

FPS = 30
EVERY = 10  # of these frames, in the extended set and in the test
LEAST_IN_VIEW = 0.7  # of the one thing that a frame shows
FIRST, TEST, MORE = 1, 2, 3  # seeds of the videos; that of the last counts on
HALF, ALL = 77, 154  # layers, as Keras counts them


def run(options, program, *arguments):
    command = [str(options.programs / program), *map(str, arguments)]
    print(" ".join(command), file=sys.stderr, flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{program} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


def draw(options, name, seed, items, every=1, stills=0):
    """A folder with a video of which every N-th frame alone is drawn, its truth, and its frames."""
    folder = options.work / name
    if not (folder / "truth.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        run(options, "pila-dataset", "synth", "--belt", "--out", folder, "--items", items, "--fps", FPS / every,
            "--size", options.picture, "--level", options.level, "--seed", seed, "--stills", stills,
            "--specimen-images", 4, "--with-nothing")
    if not (folder / "frames").exists():
        shutil.rmtree(folder / "partial", ignore_errors=True)
        run(options, "pila-dataset", "frames", folder / "belt.avi", "--out", folder / "partial")
        (folder / "partial").rename(folder / "frames")
    return folder


def frames_of(video, every):
    """(class, specimen or stretch of bare belt, file) of the frames that show one thing, or none."""
    truth = json.loads((video / "truth.json").read_text())
    items = {item["item"]: item for item in truth["items"]}
    frames, last = [], 0
    for frame in truth["frames"][::every]:
        file = video / "frames" / f"belt_{frame['index']:06d}.jpg"
        seen = frame["items"]
        if not seen:
            frames.append(("nothing", f"{video.name}-after-{last}", file))
            continue
        last = seen[0]["item"]
        if len(seen) == 1 and seen[0]["in_view"] >= LEAST_IN_VIEW:
            frames.append((items[last]["class"], f"{video.name}-{items[last]['specimen']}", file))
    return frames


def sort_frames(options, name, videos):
    """A folder of classes from pairs (video, every); of the bare belt as many frames as of another class."""
    folder = options.work / name
    frames = [frame for video, every in videos for frame in frames_of(video, every)]
    bare = [frame for frame in frames if frame[0] == "nothing"]
    things = [frame for frame in frames if frame[0] != "nothing"]
    wanted = min(len(bare), len(things) // len({frame[0] for frame in things}))
    chosen = things + [bare[i * len(bare) // wanted] for i in range(wanted)]
    shutil.rmtree(folder, ignore_errors=True)
    for kind, group, file in chosen:
        place = folder / kind / group
        place.mkdir(parents=True, exist_ok=True)
        os.link(file, place / f"{group}-{file.name}")
    print(f"{name}: {len(chosen)} frames of {len({frame[:2] for frame in things})} specimens and the bare belt",
          flush=True)
    return folder


def train(options, name, data, freeze=0, by_specimen=False):
    """The run folder, and accuracy in training and validation at the epoch that was kept."""
    folder = options.work / f"run-{name}"
    if (folder / "last.ckpt").exists() and not (folder / "report.json").exists():
        run(options, "pila-finetune", "--resume", folder)
    elif not (folder / "report.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        run(options, "pila-finetune", "--data", data, "--out", folder, "--recipe", "battery-mobilenetv2",
            "--freeze", freeze, "--epochs", options.epochs, "--size", options.size, "--width", 0.35, "--weights",
            options.weights, "--seed", options.seed, "--folds", 1, "--no-refit", "--gradcam", 0,
            *(["--group-by", "folder"] if by_specimen else []))
    with open(folder / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    kept = max(rows, key=lambda row: float(row["val_accuracy"]))
    return folder, float(kept["accuracy"]), float(kept["val_accuracy"])


def measure(options, run_folder, data):
    report = run_folder / f"on-{data.name}.json"
    if not report.exists():
        run(options, "pila-evaluate", "--model", run_folder / "model.h5", "--data", data, "--json", report)
    return json.loads(report.read_text())["accuracy"]


def print_table(title, rows):
    print(f"\n| {title} | training | validation | other specimens, same belt | other specimens, another belt |")
    print("|---|---|---|---|---|", flush=True)
    for name, *accuracies in rows:
        print(f"| {name} | " + " | ".join(f"{100 * value:.1f}%" for value in accuracies) + " |", flush=True)


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=pathlib.Path, default=pathlib.Path("build/cpu/apps"))
    parser.add_argument("--weights", default="imagenet", help="a Keras file of MobileNetV2 0.35")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder for videos, frames and runs")
    parser.add_argument("--items", type=int, default=54, help="that go by in a video: 27 specimens in turns")
    parser.add_argument("--more", type=int, default=6, help="videos that the extended set has beside the first")
    parser.add_argument("--level", choices=("easy", "normal", "hard"), default="normal")
    parser.add_argument("--picture", default="320x180", help="pixels of the videos")
    parser.add_argument("--size", type=int, default=160, help="pixels that the network sees, squared")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0, help="of the trainings")
    return parser.parse_args()


def main():
    options = read_options()
    options.work.mkdir(parents=True, exist_ok=True)
    first = draw(options, "first", FIRST, options.items, stills=35)
    dense = sort_frames(options, "every-frame", [(first, 1)])
    train(options, "every-frame", dense)
    test = sort_frames(options, "test", [(draw(options, "test-video", TEST, 2 * options.items, EVERY), 1)])

    def results(name, data, **how):
        folder, *accuracies = train(options, name, data, **how)
        return *accuracies, measure(options, folder, first / "stills"), measure(options, folder, test)

    of_dense = results("every-frame", dense)
    print_table("trained on", [("every frame of one video, random split", *of_dense)])

    more = [(draw(options, f"more-{i + 1}", MORE + i, options.items, EVERY), 1) for i in range(options.more)]
    extended = sort_frames(options, "extended", [(first, EVERY), *more])
    of_extended = results("extended", extended, by_specimen=True)
    print_table("trained on", [("every frame of one video, random split", *of_dense),
                               ("every tenth frame of more videos, split by specimen", *of_extended)])

    half = results("half-frozen", extended, by_specimen=True, freeze=HALF)
    frozen = results("all-frozen", extended, by_specimen=True, freeze=ALL)
    print_table("frozen layers", [(f"{ALL} (all)", *frozen), (HALF, *half), (0, *of_extended)])


if __name__ == "__main__":
    main()
