#!/usr/bin/env python3
"""Loads the backbone of a model file of Pila's into Keras, by name, and compares the features that both give for
the same pictures.

  python keras_features.py WRITE_FEATURES MODEL.h5 IMAGE...

WRITE_FEATURES is the program of that name among Pila's tests. Needs Keras 3 with TensorFlow, h5py and Pillow.
Exits with 1 when the features of a picture are further apart than 1e-4 of their norm.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import h5py
import keras
import numpy as np
import PIL.Image
import PIL.ImageOps
import tensorflow as tf

TOLERANCE = 1e-4


def pila_features(program, model, images, shape):
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run([program, model, out.name, *images], check=True)
        return np.fromfile(out.name, np.float32).reshape((len(images), *shape))


def keras_backbone(path, card):
    if card["network"] != "mobilenet_v2":
        sys.exit(f"{path}: expected mobilenet_v2, got {card['network']}")
    backbone = keras.applications.MobileNetV2(
        (*card["input"], 3), alpha=card["width"], include_top=False, weights=None
    )
    # Numbers of Keras' own until they are overwritten: a layer that is passed over shows.
    start = [weight.numpy() for weight in backbone.weights]
    backbone.load_weights(path, by_name=True)
    left = [w.path for w, old in zip(backbone.weights, start) if np.array_equal(w.numpy(), old)]
    print(f"{len(start) - len(left)} of {len(start)} weights loaded", *left[:5])
    return backbone


def preprocessed(path, card):
    with PIL.Image.open(path) as image:
        pixels = np.asarray(PIL.ImageOps.exif_transpose(image).convert("RGB"))
    resized = tf.image.resize(pixels, card["input"], method="bilinear", antialias=False)
    scaling = card["preprocessing"]
    return resized.numpy() * np.float32(scaling["scale"]) + np.float32(scaling["offset"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", metavar="WRITE_FEATURES")
    parser.add_argument("model", metavar="MODEL.h5")
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    arguments = parser.parse_args()
    with h5py.File(arguments.model) as file:
        card = json.loads(file.attrs["pila_card"])
    backbone = keras_backbone(arguments.model, card)
    ours = pila_features(arguments.program, arguments.model, arguments.images, backbone.output_shape[1:])
    worst = 0
    for path, actual in zip(arguments.images, ours):
        expected = backbone(preprocessed(path, card)[np.newaxis], training=False).numpy()[0]
        error = np.linalg.norm(actual - expected) / np.linalg.norm(expected)
        largest = np.abs(actual - expected).max()
        print(f"{path}: relative error {error:.2e}, largest difference {largest:.2e} of {np.abs(expected).max():.3g}")
        worst = max(worst, error)
    print(f"worst relative error {worst:.2e}, tolerance {TOLERANCE}")
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
