"""Turns a Keras weight file of MobileNetV2 into TensorFlow Lite's format, float32 and full integer."""

import argparse
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy  # noqa: E402
import tensorflow as tf  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", required=True, type=pathlib.Path, help="of weights.h5, and for the results")
    parser.add_argument("--width", type=float, required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--calibration", required=True, help=".npy of images in NHWC")
    options = parser.parse_args()

    model = keras.applications.MobileNetV2((options.size, options.size, 3), alpha=options.width, weights=None,
                                           classifier_activation=None)
    model.load_weights(options.folder / "weights.h5")
    (options.folder / "float32.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())

    images = numpy.load(options.calibration)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[None]] for image in images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    (options.folder / "int8.tflite").write_bytes(converter.convert())


if __name__ == "__main__":
    main()
