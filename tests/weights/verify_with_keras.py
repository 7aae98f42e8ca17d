"""Has Keras read a file that Pila wrote, by order and by name, and checks every number.

save_for_keras /some/model.h5 (a program of the tests) writes the file; then run
python tests/weights/verify_with_keras.py /some/model.h5. Needs Keras 3 with TensorFlow.
"""

import os
import sys
import warnings

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
warnings.filterwarnings("ignore")

import keras
import numpy as np

from make_fixtures import pattern


def build():
    return keras.applications.MobileNetV2((96, 96, 3), alpha=0.35, include_top=True, weights=None, classes=5)


def wrong(model):
    return [
        f"{layer.name}/{weight.name}"
        for layer in model.layers
        for weight in layer.weights
        if not np.array_equal(weight.numpy(), pattern(f"{layer.name}/{weight.name}", weight.shape))
    ]


def main(path):
    failures = 0
    for by_name in (False, True):
        model = build()
        assert wrong(model)
        model.load_weights(path, by_name=by_name) if by_name else model.load_weights(path)
        bad = wrong(model)
        failures += len(bad)
        print(f"{'by name' if by_name else 'by order'}: {len(model.weights) - len(bad)} of {len(model.weights)} right", *bad[:5])
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
