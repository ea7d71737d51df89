"""The images of a spectrum study, and those that its networks are trained on."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from analysis.common.networks import StudiedNetwork, load_splits
from analysis.spectrum.options import SpectrumOptions
from ntk_aug import data
from ntk_aug.errors import InputError

FIRST_CLASSES = 3


class StudyInputs(NamedTuple):
    """The images to train on, to test on, and to study.

    Attributes:
      are_outputs: whether labels are numbers of the network's outputs, as far as is known.
    """

    train: data.Dataset
    test: data.Dataset
    study: data.Dataset
    are_outputs: bool = True


def load_inputs(options: SpectrumOptions, runs: list[StudiedNetwork]) -> StudyInputs:
    """Loads the data, selects classes and draws the n images."""
    recorded = runs[0].trained_on if runs else None
    if recorded and any(run.trained_on != recorded for run in runs):
        raise InputError("the runs of --checkpoint were not trained on the same data")
    train, test = load_splits(
        options,
        recorded,
        classes=options.classes,
        first_classes=None if options.weights else FIRST_CLASSES,
    )
    available = np.bincount(train.labels).min() if options.per_class else len(train)
    n = options.n if options.n is not None else min(300, int(available))
    key = jax.random.fold_in(jax.random.key(options.seed), 2)
    study = data.draw_examples(key, train, n, per_class=options.per_class)
    train = study if options.pretrain_on == "study" else train
    if recorded is None:
        return StudyInputs(train, test, study)
    outputs = tuple(recorded["class_names"]) if recorded["name"] == train.name else ()
    train, test, study = (_numbered(split, outputs) for split in (train, test, study))
    return StudyInputs(train, test, study, study.class_names == outputs)


def _numbered(dataset: data.Dataset, outputs: Sequence[str]) -> data.Dataset:
    """Numbers labels by the network's outputs, where only some of its classes were chosen."""
    names = dataset.class_names
    if names == tuple(outputs) or not set(names) <= set(outputs):
        return dataset
    places = np.array([list(outputs).index(name) for name in names], np.int32)
    return replace(dataset, labels=places[dataset.labels], class_names=tuple(outputs))


def preprocessing(inputs: StudyInputs):
    """From images in [0, 1] to the network's inputs."""
    return partial(data.normalize, mean=inputs.train.mean, std=inputs.train.std)
