"""Writes fixtures/: files in Keras' layouts, made by Keras itself. Needs Keras 3 with TensorFlow and h5py.

Every weight holds numbers that its name decides (see `pattern`), so that a test can tell them without a copy, and
so that they compress well. Run: python tests/weights/make_fixtures.py
"""

import io
import os
import tempfile
import zipfile
import zlib
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import h5py
import keras
import numpy as np
from keras.src.legacy.saving import legacy_h5_format

FOLDER = Path(__file__).parent / "fixtures"


def pattern(name, shape):
    base = zlib.crc32(name.encode()) % 997 / 997 + 0.5
    count = int(np.prod(shape))
    return (base + np.arange(count) % 13 * 0.01).astype(np.float32).reshape(shape)


def leaves(model):
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from leaves(layer)
        else:
            yield layer


def fill(model):
    for layer in leaves(model):
        for weight in layer.weights:
            if "seed" not in weight.path:
                weight.assign(pattern(f"{layer.name}/{weight.name}", weight.shape))
    return model


def tiny(name="tiny"):
    """All kinds of layers that matter, small."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, use_bias=False, name="stem"),
            keras.layers.BatchNormalization(name="stem_bn"),
            keras.layers.DepthwiseConv2D(3, name="depthwise"),
            keras.layers.Conv2D(2, 1, name="project"),
            keras.layers.GlobalAveragePooling2D(name="pool"),
            keras.layers.Dropout(0.2, seed=1, name="drop"),
            keras.layers.Dense(5, name="classes"),
        ],
        name=name,
    )


def tiny_nested():
    inner = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="first"), keras.layers.BatchNormalization(name="bn")],
        name="inner",
    )
    middle = keras.Sequential([keras.Input((8, 8, 3)), inner, keras.layers.Conv2D(2, 3, name="second")], name="middle")
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            middle,
            keras.layers.GlobalAveragePooling2D(name="pool"),
            keras.layers.Dense(3, name="classes"),
        ],
        name="outer",
    )


def legacy_weights(model, path):
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


def split_attributes(model, path):
    limit = legacy_h5_format.HDF5_OBJECT_HEADER_LIMIT
    legacy_h5_format.HDF5_OBJECT_HEADER_LIMIT = 32
    legacy_weights(model, path)
    legacy_h5_format.HDF5_OBJECT_HEADER_LIMIT = limit


def without_names(source, path):
    path.write_bytes(source.read_bytes())
    with h5py.File(path, "a") as file:
        groups = []
        file.visititems(lambda _, item: groups.append(item))
        for group in groups:
            group.attrs.pop("name", None)


def mobilenet():
    return keras.applications.MobileNetV2((96, 96, 3), alpha=0.35, include_top=False, weights=None)


def head(x):
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dropout(0.2, seed=1, name="drop")(x)
    return keras.layers.Dense(3, activation="softmax", name="classes")(x)


def nested_model(scale):
    """What people build: augmentation, scaling, the network as one layer, a head."""
    inputs = keras.Input((96, 96, 3))
    x = keras.layers.RandomFlip("horizontal", seed=1)(inputs)
    if scale == "rescaling":
        x = keras.layers.Rescaling(1 / 127.5, offset=-1)(x)
    else:
        x = x / 127.5 - 1.0
    return keras.Model(inputs, head(mobilenet()(x)))


def flat_model():
    base = mobilenet()
    return keras.Model(base.input, head(base.output))


def pack(archive, folder):
    """One deflated archive of large, compressible files, with the dates that make it reproducible."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
        for path in sorted(folder.iterdir()):
            target.writestr(zipfile.ZipInfo(path.name), path.read_bytes(), zipfile.ZIP_DEFLATED, 9)


def repack_deflated(path):
    """Keras stores, most other tools deflate: both are to be read."""
    stored = zipfile.ZipFile(io.BytesIO(path.read_bytes()))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
        for info in stored.infolist():
            target.writestr(zipfile.ZipInfo(info.filename), stored.read(info), zipfile.ZIP_DEFLATED, 9)


def main():
    FOLDER.mkdir(exist_ok=True)
    model = fill(tiny())
    model.save_weights(FOLDER / "tiny.weights.h5")
    model.save(FOLDER / "tiny.keras")
    legacy_weights(model, FOLDER / "tiny_legacy.h5")
    split_attributes(model, FOLDER / "tiny_split.h5")

    nested = fill(tiny_nested())
    nested.save_weights(FOLDER / "nested.weights.h5")
    nested.save(FOLDER / "nested_trainable.h5")
    nested.layers[0].trainable = False
    nested.save(FOLDER / "nested_frozen.h5")
    nested.layers[0].trainable = True
    nested.layers[0].layers[0].trainable = False
    nested.save(FOLDER / "nested_part_frozen.h5")

    with tempfile.TemporaryDirectory() as name:
        large = Path(name)
        model = fill(nested_model("rescaling"))
        model.save(large / "nested.keras")
        repack_deflated(large / "nested.keras")
        (FOLDER / "mobilenet_v2_035_96.keras").write_bytes((large / "nested.keras").read_bytes())
        (large / "nested.keras").unlink()
        base = next(layer for layer in model.layers if hasattr(layer, "layers"))
        base.trainable = False
        model.save(large / "nested_frozen.h5")
        base.trainable = True
        for layer in base.layers[:100]:
            layer.trainable = False
        model.save(large / "nested_first_100_frozen.h5")
        fill(nested_model("arithmetic")).save(large / "arithmetic.h5")
        flat = fill(flat_model())
        flat.save_weights(large / "flat.weights.h5")
        without_names(large / "flat.weights.h5", large / "flat_unnamed.weights.h5")
        legacy_weights(flat, large / "flat_legacy.h5")
        pack(FOLDER / "mobilenet_v2_035_96.zip", large)
    for path in sorted(FOLDER.iterdir()):
        print(f"{path.stat().st_size:8} {path.name}")


if __name__ == "__main__":
    main()
