"""Golden values of what happens to weights in a training step: clipping, decay, averaging, the rate.
tests/parity/optim_test.cpp has the same cases under the same names."""

import keras
import numpy as np
import tensorflow as tf

from golden_file import GoldenFile, uniform

STEPS = 6
SHAPES = {"kernel": (5, 7), "bias": (7,), "gamma": (3,)}


def gradient(step, name):
    """Long and short ones in turn: some steps are clipped and some are not."""
    return uniform(f"optim/gradient_{step}/{name}", SHAPES[name]) * (4.0 if step % 2 == 0 else 0.25)


def adamw(golden, name, clip_norm=None, excluded=(), average=None):
    weights = [keras.Variable(uniform(f"optim/{key}", shape), dtype="float64", name=key) for key, shape in SHAPES.items()]
    # Keras casts Python's numbers to float32 on their way to float64, but not numpy's.
    options = {} if clip_norm is None else {"global_clipnorm": np.float64(clip_norm)}
    if average is not None:
        options |= {"use_ema": True, "ema_momentum": np.float64(average)}
    optimizer = keras.optimizers.AdamW(
        learning_rate=0.01, weight_decay=np.float64(0.1), beta_1=np.float64(0.9), beta_2=np.float64(0.999), **options
    )
    if excluded:
        optimizer.exclude_from_weight_decay(var_names=list(excluded))
    for step in range(STEPS):
        gradients = [tf.constant(gradient(step, weight.name)) for weight in weights]
        optimizer.apply(gradients, weights)
        for weight in weights:
            golden.values(f"{name}/after_{step}/{weight.name}", weight.numpy())
    if average is not None:
        for weight, mean in zip(weights, optimizer._model_variables_moving_average):
            golden.values(f"{name}/average/{weight.name}", mean.numpy())


def schedules(golden):
    for name, steps, options in [
        ("cosine", 25, {"decay_steps": 20, "alpha": 0.1}),
        ("cosine_with_warm_up", 25, {"decay_steps": 15, "alpha": 0.0, "warmup_target": 0.02, "warmup_steps": 5}),
    ]:
        start = 0.0 if "warmup_target" in options else 0.02
        schedule = keras.optimizers.schedules.CosineDecay(start, **options)
        golden.values(name, [float(schedule(step)) for step in range(steps)])


def write(path):
    golden = GoldenFile()
    adamw(golden, "decay_all")
    adamw(golden, "clipped", clip_norm=2.0)
    adamw(golden, "excluded", clip_norm=2.0, excluded=("bias", "gamma"))
    adamw(golden, "averaged", average=0.9)
    schedules(golden)
    golden.write(path)
