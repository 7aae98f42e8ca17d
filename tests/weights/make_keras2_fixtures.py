"""Writes fixtures/keras2.zip: whole models from Keras 2, whose files differ (names end in ":0", optimizer state,
scaling as TFOpLambda, .keras archives without layer names). Needs tf_keras beside what make_fixtures.py needs.
"""

import tempfile
from pathlib import Path

from make_fixtures import FOLDER, leaves, pack, pattern

import tf_keras as keras


def fill(model):
    for layer in leaves(model):
        for weight in layer.weights:
            name = weight.name.split("/")[-1].removesuffix(":0").replace("depthwise_kernel", "kernel")
            weight.assign(pattern(f"{layer.name}/{name}", weight.shape))


def whole_model():
    base = keras.applications.MobileNetV2((96, 96, 3), alpha=0.35, include_top=False, weights=None)
    inputs = keras.Input((96, 96, 3))
    x = keras.layers.RandomFlip("horizontal")(inputs)
    x = keras.applications.mobilenet_v2.preprocess_input(x)
    x = base(x, training=False)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dropout(0.2, name="drop")(x)
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="classes")(x))
    for layer in base.layers[:100]:
        layer.trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    fill(model)
    return model


def main():
    model = whole_model()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model.save(folder / "keras2_whole.h5")
        model.save(folder / "keras2_unnamed.keras")
        pack(FOLDER / "keras2.zip", folder)
    print((FOLDER / "keras2.zip").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
