"""A short training run that says what it is doing, to be killed: python killed_run.py FOLDER."""

import sys

from ntk_aug import coreset, data, models, training
from ntk_aug.training import checkpoint

CONFIG = training.TrainingConfig(
    epochs=6, batch_size=5, learning_rate=0.05, weak="noise:0.1", eval_every=2, seed=2
)
METHOD = training.MethodConfig(
    selector="coreset",
    count=4,
    reselect_every=2,
    augment="light_wu:candidate",
    strong_every=3,
    candidates=3,
    also_record=("random",),
)


def run(folder=None):
    """Trains in a folder, or without one."""
    three = data.select_classes(data.load_dataset("digits", "train"), ["0", "1", "2"])
    train_set, test_set = three.take(slice(0, 18)), three.take(slice(18, 30))
    return training.train(
        models.build_network("resnet4", 3),
        train_set,
        CONFIG,
        method=METHOD,
        test_set=test_set,
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
    run(sys.argv[1])
