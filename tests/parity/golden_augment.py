"""Golden values of augmentation: what Keras' layers do to one small picture with given factors, and to the rows of
several of them, one after the other. tests/parity/augment_test.cpp has the same cases under the same names."""

import keras
import numpy as np
import tensorflow as tf

from golden_file import GoldenFile, units

HEIGHT, WIDTH = 12, 10


def picture():
    """Coarse squares under noise, 0 to 255."""
    coarse = units("augment/coarse", 4 * 4 * 3).reshape((4, 4, 3)).repeat(3, axis=0).repeat(3, axis=1)
    noise = units("augment/noise", HEIGHT * WIDTH * 3).reshape((HEIGHT, WIDTH, 3))
    return np.floor((0.75 * coarse[:HEIGHT, :WIDTH] + 0.25 * noise) * 256)[None]


def flip(x, mode):
    return keras.layers.RandomFlip(mode).transform_images(x, {"flips": np.full((1, 1, 1, 1), True)})


def rotate(x, turn, fill="reflect"):
    return keras.layers.RandomRotation((turn, turn), fill_mode=fill)(x, training=True)


def zoom(x, height, width=None, fill="reflect"):
    both = None if width is None else (width, width)
    return keras.layers.RandomZoom((height, height), both, fill_mode=fill)(x, training=True)


def translate(x, down, right, fill="reflect"):
    return keras.layers.RandomTranslation((down, down), (right, right), fill_mode=fill)(x, training=True)


def contrast(x, factor):
    return keras.layers.RandomContrast(0.5).transform_images(x, {"contrast_factor": np.float32(factor)})


def brightness(x, factor):
    return keras.layers.RandomBrightness((factor, factor))(x, training=True)


def saturation(x, factor):
    """On 0..1: on 0..255 Keras clips the saturation, which never exceeds 1, to 255."""
    layer = keras.layers.RandomSaturation(0.5, value_range=(0, 1))
    return layer.transform_images(x / 255.0, {"factor": tf.constant([factor], x.dtype)}) * 255.0


def hue(x, turn):
    return keras.layers.RandomHue(0.5).transform_images(x, {"factor": tf.constant([turn], x.dtype)})


def matrix(turn=0.0, height_zoom=1.0, width_zoom=1.0, down=0.0, right=0.0):
    """The matrices of rotation, zoom and translation, as Keras makes them, in one."""
    cx, cy = (WIDTH - 1) / 2, (HEIGHT - 1) / 2
    c, s = np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)
    centre, back = np.array([[1, 0, cx], [0, 1, cy], [0, 0, 1]]), np.array([[1, 0, -cx], [0, 1, -cy], [0, 0, 1]])
    rotation = centre @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ back
    zooming = centre @ np.diag([width_zoom, height_zoom, 1]) @ back
    translation = np.array([[1, 0, -right * WIDTH], [0, 1, -down * HEIGHT], [0, 0, 1]])
    return (rotation @ zooming @ translation).ravel()[None, :8]


def cases(x):
    yield "flip_horizontal", flip(x, "horizontal")
    yield "flip_vertical", flip(x, "vertical")
    yield "flip_both", flip(x, "horizontal_and_vertical")
    yield "rotation_18_degrees", rotate(x, 0.05)
    yield "rotation_backwards", rotate(x, -0.21)
    yield "rotation_constant", rotate(x, 0.1, "constant")
    yield "rotation_nearest", rotate(x, 0.1, "nearest")
    yield "zoom_out", zoom(x, 0.3)
    yield "zoom_far_out", zoom(x, 1.0)
    yield "zoom_in", zoom(x, -0.3)
    yield "zoom_both", zoom(x, -0.2, 0.4)
    yield "zoom_constant", zoom(x, 0.3, fill="constant")
    yield "translation", translate(x, 0.13, -0.28)
    yield "translation_far", translate(x, -1.0, 0.93)
    yield "translation_constant", translate(x, -0.13, 0.28, "constant")
    yield "translation_nearest", translate(x, 0.13, 0.28, "nearest")
    yield "contrast_up", contrast(x, 1.4)
    yield "contrast_down", contrast(x, 0.6)
    yield "brightness_up", brightness(x, 0.4)
    yield "brightness_down", brightness(x, -0.3)
    yield "saturation_up", saturation(x, 1.7)
    yield "saturation_down", saturation(x, 0.4)
    yield "hue_up", hue(x, 0.21)
    yield "hue_down", hue(x, -0.4)
    # A row of layers in which one only interpolates is what a single warp gives.
    yield "battery", brightness(contrast(rotate(flip(x, "horizontal"), 0.04), 1.3), -0.15)
    transform = matrix(turn=0.07, height_zoom=1.2, width_zoom=0.9, down=0.1, right=-0.05)
    warped = keras.ops.image.affine_transform(flip(x, "vertical"), transform, fill_mode="reflect")
    yield "all_movements", warped
    yield "colours", brightness(contrast(saturation(hue(x, -0.05), 1.3), 0.8), 0.1)


def write(path):
    golden = GoldenFile()
    keras.backend.set_floatx("float32")  # of the matrices, whatever the pictures are
    for name, y in cases(tf.constant(picture(), tf.float32)):
        golden.full(name, y)
    keras.backend.set_floatx("float64")
    golden.write(path)
