#!/usr/bin/env python3
"""Writes the golden files that Pila's parity tests compare with, computed by Keras in float64.

  pip install -r requirements.txt
  python generate_golden.py [--weights FOLDER] [CASE ...]

FOLDER holds Keras' weight files, for the cases with real weights; without it these cases are left as they are.
"""

import argparse
import os
import pathlib

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import golden_augment
import golden_ops
import golden_optim
from golden_file import GoldenFile, uniform, units

GOLDEN = pathlib.Path(__file__).parent / "golden"
ADAM_STEPS = 10
# Adam moves every weight by about the rate, also those whose gradient is but rounding: real weights get one
# that fine-tuning would use, where ten steps do not blow rounding up to more than it tells.
LEARNING_RATE, FINE_TUNING_RATE = 2e-4, 2e-5
WEIGHT_DECAY = 0.05

# name: width, size, batch, classes, weight file (None: generated weights)
CASES = {
    "generated_0.35_96": (0.35, 96, 2, 5, None),
    "generated_0.35_225": (0.35, 225, 2, 5, None),
    "generated_1.0_128": (1.0, 128, 3, 5, None),
    "generated_1.0_224": (1.0, 224, 2, 5, None),
    "real_0.35_128": (0.35, 128, 4, 5, "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5"),
    "real_1.0_224": (1.0, 224, 2, 1000, "mobilenet_v2_1.0_224_from_quantized.h5"),
}
FULL_CASE = "generated_0.35_96"
STATISTICS_SIZE, STATISTICS_BATCH = 96, 4


def images(batch, size):
    """Coarse squares under noise, in [-1, 1)."""
    squares = (size + 15) // 16
    coarse = uniform("squares", (batch, squares, squares, 3))
    noise = uniform("noise", (batch, size, size, 3))
    coarse = coarse.repeat(16, axis=1).repeat(16, axis=2)[:, :size, :size, :]
    return (0.75 * coarse + 0.25 * noise).astype(np.float32).astype(np.float64)


def labels(batch, classes):
    return (np.arange(batch) * 3 + 1) % classes


def parameter_name(variable):
    """Pila's name of a Keras variable: "Conv1/kernel"."""
    layer, name = variable.path.split("/")
    return f"{layer}/depthwise_kernel" if layer.endswith("depthwise") else f"{layer}/{name}"


def between(name, shape, low, high):
    """Uniform, with its bounds given by channel."""
    values = low + (high - low) * units(name, int(np.prod(shape)))
    return values.astype(np.float32).astype(np.float64).reshape(shape)


def generated(name, shape):
    """A weight that keeps activations in range and away from the kinks of ReLU6, 0 and 6, which lie four standard
    deviations off the middle: where float32 and float64 fall on different sides of a kink, gradients differ by
    more than rounding (1e-3 of the norm, with activations all around the kinks). Two channels in 16 lie wholly
    below 0 and above 6. Real weights and single operations test the kinks. Moving statistics are measured, see
    measured_statistics()."""
    layer, parameter = name.split("/")
    if parameter.endswith("kernel"):
        fan_in = np.prod(shape[:-2] if parameter == "depthwise_kernel" else shape[:-1])
        limit = np.sqrt(3.0 / fan_in) * (0.3 if layer == "predictions" else 1.0)
        return between(name, shape, -limit, limit)
    if parameter == "bias":
        return between(name, shape, -0.1, 0.1)
    linear = layer.endswith("project_BN")
    if parameter == "gamma":
        return between(name, shape, 0.8, 1.2) if linear else between(name, shape, 0.6, 0.8)
    channel = np.arange(shape[0]) % 16
    middle = 0.0 if linear else np.where(channel == 3, -3.0, np.where(channel == 11, 9.0, 3.0))
    return between(name, shape, middle - 0.25, middle + 0.25)


def measured_statistics(width):
    """Moving statistics for the generated weights of a width: those of a batch, disturbed, so that inference
    differs from training. By name."""
    model = build(width, STATISTICS_SIZE, classes=5)
    normalizations = [l for l in model.layers if isinstance(l, keras.layers.BatchNormalization)]
    for layer in normalizations:
        layer.momentum = 0.0
    model(images(STATISTICS_BATCH, STATISTICS_SIZE), training=True)
    statistics = {}
    for layer in normalizations:
        mean, variance = layer.moving_mean.numpy(), layer.moving_variance.numpy()
        mean += np.sqrt(variance) * uniform(layer.name + "/disturbed_mean", mean.shape, -0.1, 0.1)
        variance *= uniform(layer.name + "/disturbed_variance", variance.shape, 0.8, 1.25)
        statistics[layer.name + "/moving_mean"] = mean.astype(np.float32)
        statistics[layer.name + "/moving_variance"] = variance.astype(np.float32)
    return statistics


def block_ends(model):
    """The layers whose outputs an Observer sees."""
    names = [layer.name for layer in model.layers]
    ends = ["Conv1_relu", "expanded_conv_project_BN"]
    for block in range(1, 17):
        added = f"block_{block}_add"
        ends.append(added if added in names else f"block_{block}_project_BN")
    return ends + ["out_relu"]


def build(width, size, classes, weights=None):
    """The network with generated weights or those of a file. It gives its blocks' outputs, then logits."""
    backbone = keras.applications.MobileNetV2(
        input_shape=(size, size, 3), alpha=width, include_top=False, weights=None
    )
    x = keras.layers.GlobalAveragePooling2D(name="global_average_pooling2d")(backbone.output)
    logits = keras.layers.Dense(classes, name="predictions")(x)
    model = keras.Model(backbone.input, [backbone.get_layer(n).output for n in block_ends(backbone)] + [logits])
    for variable in model.trainable_variables:
        variable.assign(generated(parameter_name(variable), tuple(variable.shape)))
    if weights is not None:
        # A file without a top leaves the generated one.
        model.load_weights(weights, by_name=True)
        if np.all(model.get_layer("Conv_1_bn").moving_mean.numpy() == 0):
            raise ValueError(f"{weights}: no layers of MobileNetV2")
    return model


def cross_entropy(logits, target):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return loss(tf.constant(target), logits)


def gradients(model, x, target, training):
    with tf.GradientTape() as tape:
        *blocks, logits = model(x, training=training)
        loss = cross_entropy(logits, target)
    return blocks, logits, loss, tape.gradient(loss, model.trainable_variables)


def mobilenet_v2(name, weights_folder):
    width, size, batch, classes, file = CASES[name]
    rate = FINE_TUNING_RATE if file else LEARNING_RATE
    model = build(width, size, classes, file and weights_folder / file)
    golden = GoldenFile()
    golden.values("case", [width, size, batch, classes, rate, WEIGHT_DECAY])
    if file is None:
        measured = measured_statistics(width)
        for variable in model.non_trainable_variables:
            variable.assign(measured[parameter_name(variable)])
    start = [v.numpy() for v in model.weights]
    x, target = images(batch, size), labels(batch, classes)

    for mode, training in (("inference", False), ("training", True)):
        blocks, logits, loss, slopes = gradients(model, x, target, training)
        for layer, output in zip(block_ends(model), blocks):
            golden.tensor(f"{mode}/output/{layer}", output)
            if name == FULL_CASE and not training:
                golden.full(f"{mode}/output/{layer}", output)
        golden.tensor(f"{mode}/logits", logits)
        golden.values(f"{mode}/loss", loss)
        for variable, slope in zip(model.trainable_variables, slopes):
            golden.tensor(f"{mode}/gradient/{parameter_name(variable)}", slope)
            if name == FULL_CASE and training:
                golden.full(f"{mode}/gradient/{parameter_name(variable)}", slope)
    for variable in model.non_trainable_variables:
        golden.tensor("training/statistics/" + parameter_name(variable), variable.numpy())

    for variable, value in zip(model.weights, start):
        variable.assign(value)
    optimizer = golden_ops.adamw(rate, WEIGHT_DECAY)
    losses = []
    for _ in range(ADAM_STEPS):
        _, _, loss, slopes = gradients(model, x, target, True)
        optimizer.apply_gradients(zip(slopes, model.trainable_variables))
        losses.append(float(loss))
    golden.values("adam/losses", losses)
    for variable in model.trainable_variables:
        golden.tensor("adam/" + parameter_name(variable), variable.numpy())
    print(name, "losses", losses)
    golden.write(GOLDEN / f"mobilenet_v2_{name}.golden")


def statistics(width):
    golden = GoldenFile()
    for name, values in measured_statistics(width).items():
        golden.full(name, values)
    golden.write(GOLDEN / f"mobilenet_v2_statistics_{width}.golden")


def layer_list():
    """Keras' own list of MobileNetV2's layers: name, class, weights."""
    model = keras.applications.MobileNetV2(input_shape=(224, 224, 3), weights=None)
    with open(GOLDEN / "mobilenet_v2_layers.txt", "w") as file:
        for layer in model.layers:
            weights = [parameter_name(v).split("/")[1] + str(list(v.shape)) for v in layer.weights]
            print(" ".join([layer.name, type(layer).__name__] + [w.replace(" ", "") for w in weights]), file=file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=pathlib.Path)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(["ops", "augment", "optim", "layers", "statistics", *CASES]))
    arguments = parser.parse_args()
    keras.backend.set_floatx("float64")
    wanted = arguments.cases or ["ops", "augment", "optim", "layers", "statistics", *CASES]
    GOLDEN.mkdir(exist_ok=True)
    for case in wanted:
        keras.utils.clear_session()
        if case == "ops":
            golden_ops.write(GOLDEN / "ops.golden")
        elif case == "augment":
            golden_augment.write(GOLDEN / "augment.golden")
        elif case == "optim":
            golden_optim.write(GOLDEN / "optim.golden")
        elif case == "layers":
            layer_list()
        elif case == "statistics":
            for width in sorted({c[0] for c in CASES.values()}):
                statistics(width)
        elif CASES[case][4] is not None and arguments.weights is None:
            print(case, "is left as it is: no --weights")
        else:
            mobilenet_v2(case, arguments.weights)


if __name__ == "__main__":
    main()
