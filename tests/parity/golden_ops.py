"""Golden values of single operations. Inputs are uniform(NAME of the case + "/x" ...), losses are sums of the
output times a generated cotangent, so that every gradient is checked too. tests/parity/ops_test.cpp has the
same cases under the same names."""

import keras
import numpy as np
import tensorflow as tf

from golden_file import GoldenFile, uniform, units


def record(golden, name, inputs, function):
    """function of the named inputs: the output, and the gradient of each input."""
    tensors = {key: tf.constant(value) for key, value in inputs.items()}
    with tf.GradientTape() as tape:
        tape.watch(list(tensors.values()))
        y = function(*tensors.values())
        loss = tf.reduce_sum(y * uniform(name + "/cotangent", y.shape))
    golden.values(name + "/y", y)
    for key, gradient in zip(tensors, tape.gradient(loss, list(tensors.values()))):
        golden.values(f"{name}/d{key}", gradient)


def layer_with(layer, x, **weights):
    """The layer's output with its variables replaced by tensors, so that gradients reach these."""
    layer.build(x.shape)
    values = [weights[v.name] for v in layer.trainable_variables]
    frozen = [v.value for v in layer.non_trainable_variables]
    return layer.stateless_call(values, frozen, x)[0]


def convolutions(golden):
    for name, size, channels, filters, kernel, stride, padding, groups in [
        ("conv_3x3_same", (7, 9), 3, 5, 3, 1, "same", 1),
        ("conv_3x3_stride_2_even", (8, 10), 3, 4, 3, 2, "same", 1),
        ("conv_3x3_stride_2_odd", (7, 9), 3, 4, 3, 2, "same", 1),
        ("conv_7x7_stride_2_valid", (15, 14), 3, 6, 7, 2, "valid", 1),
        ("conv_1x1", (5, 4), 7, 9, 1, 1, "valid", 1),
        ("conv_1x1_stride_2", (5, 4), 7, 9, 1, 2, "same", 1),
        ("conv_3x3_groups", (6, 5), 6, 4, 3, 1, "same", 2),
    ]:
        layer = keras.layers.Conv2D(filters, kernel, strides=stride, padding=padding, groups=groups)
        inputs = {
            "x": uniform(name + "/x", (2, *size, channels)),
            "kernel": uniform(name + "/kernel", (kernel, kernel, channels // groups, filters)),
            "bias": uniform(name + "/bias", (filters,)),
        }
        record(golden, name, inputs, lambda x, kernel, bias: layer_with(layer, x, kernel=kernel, bias=bias))
    for name, size, stride, padding in [
        ("depthwise_same", (7, 6), 1, "same"),
        ("depthwise_stride_2_same_even", (8, 6), 2, "same"),
        ("depthwise_stride_2_same_odd", (9, 7), 2, "same"),
        ("depthwise_stride_2_valid", (9, 8), 2, "valid"),
    ]:
        layer = keras.layers.DepthwiseConv2D(3, strides=stride, padding=padding, use_bias=False)
        inputs = {"x": uniform(name + "/x", (2, *size, 5)), "kernel": uniform(name + "/kernel", (3, 3, 5, 1))}
        record(golden, name, inputs, lambda x, kernel: layer_with(layer, x, kernel=kernel))


def normalization(golden):
    name = "batch_norm"
    x, gamma, beta = uniform(name + "/x", (3, 4, 5, 6)), uniform(name + "/gamma", (6,)), uniform(name + "/beta", (6,))
    inputs = {"x": x, "gamma": gamma, "beta": beta}
    mean = uniform(name + "/moving_mean", (6,))
    variance = uniform(name + "/moving_variance", (6,), 0.5, 2.0)
    for mode, training in (("training", True), ("inference", False)):
        layer = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-3)
        layer.build(x.shape)
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(variance)

        def function(x, gamma, beta):
            frozen = [v.value for v in layer.non_trainable_variables]
            return layer.stateless_call([gamma, beta], frozen, x, training=training)[0]

        record(golden, f"{name}_{mode}", inputs, function)
        layer(x, training=training)
        golden.values(f"{name}_{mode}/moving_mean", layer.moving_mean)
        golden.values(f"{name}_{mode}/moving_variance", layer.moving_variance)


def elementwise(golden):
    shape = (2, 3, 4, 5)
    for name, function in [
        ("relu", keras.activations.relu),
        ("relu6", keras.activations.relu6),
        ("silu", keras.activations.silu),
        ("sigmoid", keras.activations.sigmoid),
        ("softmax", keras.activations.softmax),
    ]:
        record(golden, name, {"x": uniform(name + "/x", shape, -9, 9)}, function)
    excite = {"x": uniform("excite/x", shape), "gate": uniform("excite/gate", (2, 1, 1, 5))}
    record(golden, "excite", excite, lambda x, gate: keras.layers.Multiply()([x, gate]))
    padding = keras.layers.ZeroPadding2D(((0, 1), (2, 3)))
    record(golden, "zero_padding", {"x": uniform("zero_padding/x", shape)}, padding)
    pooling = keras.layers.GlobalAveragePooling2D()
    record(golden, "global_average_pool", {"x": uniform("global_average_pool/x", shape)}, pooling)
    for name, size, window, padding in [
        ("max_pool_3_stride_2", (9, 8), 3, "valid"),
        ("max_pool_3_stride_2_same", (9, 8), 3, "same"),
        ("max_pool_1_stride_2", (7, 8), 1, "valid"),
    ]:
        layer = keras.layers.MaxPooling2D(window, strides=2, padding=padding)
        record(golden, name, {"x": uniform(name + "/x", (2, *size, 3))}, layer)


def losses(golden):
    classes, rows = 7, 6
    labels = (np.arange(rows) * 3 + 1) % classes
    weights = uniform("cross_entropy/class_weights", (classes,), 0.5, 3.0)
    for name, smoothing, weighted in [
        ("cross_entropy", 0.0, False),
        ("cross_entropy_smoothed", 0.1, False),
        ("cross_entropy_weighted", 0.1, True),
    ]:
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing, reduction=None)
        target = np.eye(classes)[labels]
        sample_weight = weights[labels] if weighted else None
        record(
            golden,
            name,
            {"logits": uniform(name + "/logits", (rows, classes), -4, 4)},
            lambda logits: loss(target, logits, sample_weight=sample_weight),
        )


def adamw(learning_rate, weight_decay):
    """Keras casts Python's numbers to float32 on their way to float64, but not numpy's."""
    return keras.optimizers.AdamW(
        learning_rate=learning_rate,
        weight_decay=np.float64(weight_decay),
        beta_1=np.float64(0.9),
        beta_2=np.float64(0.999),
    )


def adam(golden):
    """Five steps with given gradients, the rate changing on the way."""
    variable = keras.Variable(uniform("adam/w", (40,)), dtype="float64")
    optimizer = adamw(0.01, 0.1)
    for step in range(5):
        optimizer.learning_rate = 0.01 / (step + 1)
        optimizer.apply([tf.constant(uniform(f"adam/gradient_{step}", (40,)))], [variable])
        golden.values(f"adam/after_{step}", variable.numpy())


def resizes(golden):
    for name, size, target in [
        ("resize_up", (9, 7), (20, 33)),
        ("resize_down", (61, 48), (13, 9)),
        ("resize_odd", (15, 33), (31, 17)),
        ("resize_far_down", (97, 113), (5, 3)),
        ("resize_from_one", (1, 1), (4, 3)),
        ("resize_same", (6, 8), (6, 8)),
    ]:
        pixels = np.floor(units(name + "/x", 2 * size[0] * size[1] * 3) * 256).astype(np.uint8)
        image = pixels.reshape((2, *size, 3))
        golden.values(name + "/y", tf.image.resize(image, target, method="bilinear", antialias=False))


def write(path):
    golden = GoldenFile()
    convolutions(golden)
    normalization(golden)
    elementwise(golden)
    losses(golden)
    adam(golden)
    resizes(golden)
    golden.write(path)
