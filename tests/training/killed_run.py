"""A short training run that says what it is doing, to be killed: python killed_run.py FOLDER SIZE.

SIZE is "small", which compiles in a few seconds, or "large": batch statistics, and Wu et al.
"""

import sys
from dataclasses import replace

import numpy as np

from ntk_aug import coreset, data, models, training
from ntk_aug.training import checkpoint

CONFIG = training.TrainingConfig(
    epochs=6, batch_size=5, learning_rate=0.05, weak="noise:0.1", eval_every=2, seed=2
)
METHOD = training.MethodConfig(
    selector="coreset",
    count=4,
    reselect_every=2,
    augment="noise:0.2",
    strong_every=3,
    also_record=("random",),
)
SIZES = {
    "small": ("mlp", {"width": 8}, METHOD),
    "large": ("resnet4", {}, replace(METHOD, augment="training_parts:wu_candidate", candidates=3)),
}


def run(folder, size):
    """Trains in a folder."""
    three = data.select_classes(data.load_dataset("digits", "train"), ["0", "1", "2"])
    model, options, method = SIZES[size]
    return training.train(
        models.build_network(model, 3, **options),
        three.take(np.arange(18)),
        CONFIG,
        method=method,
        test_set=three.take(np.arange(18, 30)),
        folder=folder,
        seconds_between_checkpoints=0,
        on_epoch=lambda record: print("epoch", record.epoch, flush=True),
    )


def telling(function, what):
    """The function, which says before each call what it is about to do."""

    def call(*args, **kwargs):
        print(what, flush=True)
        return function(*args, **kwargs)

    return call


if __name__ == "__main__":
    coreset.select = telling(coreset.select, "selects")
    checkpoint.write_npz = telling(checkpoint.write_npz, "writes")
    checkpoint.write_json = telling(checkpoint.write_json, "writes the manifest")
    run(*sys.argv[1:])
