#!/usr/bin/env python3
"""Exports a model with pila-export and compares ONNX Runtime with pila-live on the same photographs.

  python onnx_export.py BUILD_FOLDER MODEL.h5 IMAGE|DIR...

BUILD_FOLDER has apps/pila-export and apps/pila-live. Needs onnx, onnxruntime, numpy and Pillow. Photographs are
brought to the model's size first, so that decoders and resizing have no part in it. Exits with 1 unless the
most likely class is the same on every one, and probabilities are within 1e-4.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
import PIL.Image

TOLERANCE = 1e-4
ENDINGS = {".jpg", ".jpeg", ".png", ".bmp"}


def find_images(sources):
    for source in map(pathlib.Path, sources):
        if source.is_dir():
            yield from sorted(path for path in source.rglob("*") if path.suffix.lower() in ENDINGS)
        else:
            yield source


def pila_probabilities(program, model, folder):
    """By the name of the file."""
    result = subprocess.run([program, "--model", model, "--source", folder, "--top", "1000000", "--json", "-"],
                            check=True, stdout=subprocess.PIPE, text=True)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    return {pathlib.Path(line["source"]).name: line["probabilities"] for line in lines}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path, metavar="BUILD_FOLDER")
    parser.add_argument("model", metavar="MODEL.h5")
    parser.add_argument("images", nargs="+", metavar="IMAGE|DIR")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        exported = scratch / "model.onnx"
        subprocess.run([options.build / "apps/pila-export", "--model", options.model, "--to", "onnx", "--out",
                        exported], check=True)
        onnx.checker.check_model(onnx.load(exported), full_check=True)
        session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
        about = {key: json.loads(value) for key, value in session.get_modelmeta().custom_metadata_map.items()}
        height, width = about["input_size"]
        folder = scratch / "images"
        folder.mkdir()
        pixels = {}
        for path in find_images(options.images):
            with PIL.Image.open(path) as image:
                small = image.convert("RGB").resize((width, height), PIL.Image.Resampling.BILINEAR)
            name = f"{len(pixels)}.png"
            small.save(folder / name)
            pixels[name] = np.asarray(small)
        ours = pila_probabilities(options.build / "apps/pila-live", options.model, folder)
    if not pixels or pixels.keys() != ours.keys():
        sys.exit(f"{len(pixels)} images, and pila-live has an answer for {len(ours)}")

    worst, changed = 0, 0
    for name, image in pixels.items():
        images = image[np.newaxis] * np.float32(about["scale"]) + np.float32(about["offset"])
        theirs = session.run(["probabilities"], {"input": images.astype(np.float32)})[0][0]
        # pila-live lists classes by name; names are the model's where it has some, else numbers.
        names = list(ours[name])
        if about["classes"]:
            names = sorted(names, key=about["classes"].index)
        else:
            names = sorted(names, key=int)
        actual = np.array([ours[name][key] for key in names])
        worst = max(worst, np.abs(actual - theirs).max())
        changed += actual.argmax() != theirs.argmax()
    print(f"{len(pixels)} images: {changed} with another top-1, largest difference of probabilities {worst:.2e}, "
          f"tolerance {TOLERANCE}")
    return 0 if changed == 0 and worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
