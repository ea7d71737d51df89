"""What a spectrum study is of: its images, and the networks that are trained on them."""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from analysis.spectrum_options import SpectrumOptions
from ntk_aug import data, models, training
from ntk_aug.checks import InputError
from ntk_aug.progress import progress_bars

FIRST_CLASSES = 3


class StudyInputs(NamedTuple):
    """The images of a study: what networks are trained and tested on, and what is studied."""

    train: data.Dataset
    test: data.Dataset
    study: data.Dataset


def load_inputs(options: SpectrumOptions, runs: list[training.PretrainedNetwork]) -> StudyInputs:
    """Loads the data, chooses classes and draws the n images."""
    recorded = runs[0].run.config["data"] if runs else None
    if recorded and any(run.run.config["data"] != recorded for run in runs):
        raise InputError("the runs of --checkpoint were not trained on the same data")
    name = options.data or (recorded["name"] if recorded and not options.images else "digits")
    splits = []
    for split in data.SPLITS:
        if options.images:
            dataset = data.load_images_file(options.images, split)
        else:
            dataset = data.load_dataset(name, split, data_dir=options.data_dir)
        classes = options.classes or dataset.class_names[:FIRST_CLASSES]
        if recorded and not options.classes and recorded["name"] == dataset.name:
            classes = recorded["class_names"]
        dataset = data.select_classes(dataset, classes)
        if recorded:
            mean, std = (tuple(recorded[key]) for key in ("mean", "std"))
            dataset = replace(dataset, mean=mean, std=std)
        splits.append(dataset)
    train, test = splits
    if recorded and train.image_shape != tuple(recorded["image_shape"]):
        raise InputError(
            f"images of {name} are {train.image_shape}, but the checkpoint's network was trained "
            f"on {tuple(recorded['image_shape'])}"
        )
    available = np.bincount(train.labels).min() if options.per_class else len(train)
    n = options.n if options.n is not None else min(300, int(available))
    key = jax.random.fold_in(jax.random.key(options.seed), 2)
    study = data.draw_examples(key, train, n, per_class=options.per_class)
    return StudyInputs(study if options.pretrain_on == "study" else train, test, study)


def preprocessing(inputs: StudyInputs):
    """From images in [0, 1] to the network's inputs."""
    return partial(data.normalize, mean=inputs.train.mean, std=inputs.train.std)


def training_config(options: SpectrumOptions, network: int) -> training.TrainingConfig:
    """The pretraining of one of the networks."""
    entry = models.MODELS.get(options.model)
    default_rate = entry.learning_rate if entry else models.DEFAULT_LEARNING_RATE
    return training.TrainingConfig(
        epochs=options.epochs,
        batch_size=options.batch_size,
        learning_rate=default_rate if options.learning_rate is None else options.learning_rate,
        momentum=options.momentum,
        weight_decay=options.weight_decay,
        augmentation=options.train_augment,
        seed=options.seed + network,
    )


def model_options(options: SpectrumOptions) -> dict:
    """The options of the model that were given."""
    given = {"width": options.width, "activation": options.activation}
    return {name: value for name, value in given.items() if value is not None}


def initial_view(options: SpectrumOptions, inputs: StudyInputs) -> models.ModelView:
    """The first network before its training: of the same cost as after it."""
    network = models.build_network(
        options.model, inputs.train.num_classes, **model_options(options)
    )
    state = training.initial_state(network, inputs.train.image_shape, training_config(options, 0))
    return network.view(state.params, state.state)


def pretrain(options: SpectrumOptions, inputs: StudyInputs) -> list[training.PretrainedNetwork]:
    """Pretrains the networks, or finds them pretrained."""
    networks = []
    for number in range(options.networks):
        with progress_bars(f"network {number + 1}/{options.networks} ") as progress:
            network = training.train_named_model(
                options.model,
                inputs.train,
                training_config(options, number),
                options=model_options(options),
                test_set=inputs.test,
                cache=options.cache,
                progress=progress,
            )
        networks.append(network)
    return networks
