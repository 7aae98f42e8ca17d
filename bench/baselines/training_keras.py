"""Trains MobileNetV2 in Keras on TensorFlow when told to, by the protocol of pila-bench-training."""

import argparse
import sys
import time

import keras
import tensorflow as tf

from training_list import add_arguments, read_list


def input_pipeline(options, files, labels):
    """Decoded and stretched by tf.data's threads; uint8 images that are kept are still batched anew."""

    def decode(file, label):
        image = tf.io.decode_image(tf.io.read_file(file), channels=3, expand_animations=False)
        image.set_shape([None, None, 3])
        return tf.image.resize(image, (options.size, options.size)), label

    data = tf.data.Dataset.from_tensor_slices((files, labels))
    data = data.map(decode, num_parallel_calls=options.threads, deterministic=True)
    if options.cache_mb > 0:
        data = data.map(lambda image, label: (tf.cast(tf.round(image), tf.uint8), label)).cache()
    return data.batch(options.batch).prefetch(2)


def make_model(options, classes):
    backbone = keras.applications.MobileNetV2((options.size, options.size, 3), options.width, include_top=False,
                                              weights=None)
    inputs = keras.Input((options.size, options.size, 3))
    x = keras.layers.RandomFlip("horizontal_and_vertical")(inputs)
    x = keras.layers.RandomRotation(0.05)(x)
    x = keras.layers.RandomContrast(0.4, value_range=(0, 255))(x)
    x = keras.layers.RandomBrightness(0.4, value_range=(0, 255))(x)
    x = keras.layers.Rescaling(1 / 127.5, -1)(x)
    # Inference mode takes the moving statistics; gamma and beta learn all the same.
    x = backbone(x, training=False) if options.statistics == "frozen" else backbone(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(classes)(keras.layers.Dropout(0.2)(x)))
    model.compile(keras.optimizers.AdamW(1e-3, weight_decay=0.01),
                  keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def main():
    options = add_arguments(argparse.ArgumentParser(description=__doc__)).parse_args()
    keras.utils.set_random_seed(0)
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    files, labels = read_list(options.list)
    data = input_pipeline(options, files, labels)
    model = make_model(options, max(labels) + 1)

    def run():
        return model.fit(data, verbose=0).history["loss"][-1]

    run()
    print("ready", flush=True)
    for line in sys.stdin:
        assert line == "run\n", line
        start = time.perf_counter()
        loss = run()
        print((time.perf_counter() - start) * 1e3, loss, flush=True)


if __name__ == "__main__":
    main()
