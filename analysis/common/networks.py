"""Loads the data and the networks of a command, or trains the networks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax

from analysis.common.options import NetworkOptions, given_epochs
from ntk_aug import data, models, training
from ntk_aug.data.splits import SPLITS
from ntk_aug.errors import InputError, NtkAugError
from ntk_aug.models.outputs import count_outputs
from ntk_aug.models.registry import DEFAULT_LEARNING_RATE
from ntk_aug.options import given_overrides
from ntk_aug.progress import progress_bars
from ntk_aug.training.initial import initial_state
from ntk_aug.training.pretrained import PretrainedNetwork
from ntk_aug.training.run_folder import recorded_example
from ntk_aug.training.versions import augmentation_for

SHOWN_CLASSES = 20
"""Names of classes in a line; all are in the summary."""


class StudiedNetwork(NamedTuple):
    """A network of a command, trained here or by the user.

    Attributes:
      view: of the network.
      origin: what the summary says of it: `model` and its `options`, `training`, `method` and
        `epochs_done` (None of weights that the user trained), and its `folder` or file.
      trained_on: what a run of this project says of its data; None of weights.
    """

    view: models.ModelView
    origin: dict[str, Any]
    trained_on: Mapping | None = None


def load_splits(
    options: NetworkOptions,
    recorded: Mapping | None,
    *,
    classes: Sequence[str] = (),
    first_classes: int | None = None,
) -> list[data.Dataset]:
    """Loads the training and the test split, of the chosen classes, and says which they are.

    Args:
      options: of any command.
      recorded: what a checkpoint's run says of its data: what is not chosen is as there.
      classes: by name or number; none: those of the checkpoint, or the first.
      first_classes: how many these are; None: all.
    """
    name = options.data or (recorded["name"] if recorded and not options.images else "digits")
    splits, whole = [], []
    for split in SPLITS:
        if options.images:
            dataset = data.load_images_file(options.images, split)
        else:
            dataset = data.load_dataset(name, split, data_dir=options.data_dir)
        whole.append(dataset)
        chosen = classes or dataset.class_names[:first_classes]
        if recorded and not classes and recorded["name"] == dataset.name:
            chosen = recorded["class_names"]
        dataset = data.select_classes(dataset, chosen)
        if recorded and dataset.are_images:
            mean, std = (tuple(recorded[key]) for key in ("mean", "std"))
            dataset = replace(dataset, mean=mean, std=std)
        splits.append(dataset)
    if recorded and splits[0].example != recorded_example(recorded):
        given, expected = (
            jax.tree.map(lambda leaf: leaf.shape, example)
            for example in (splits[0].example, recorded_example(recorded))
        )
        raise InputError(
            f"images of {options.images or name} are {given}, but the checkpoint's network was "
            f"trained on {expected}"
        )
    print(data_line(splits, whole))
    return splits


def data_line(splits: Sequence[data.Dataset], whole: Sequence[data.Dataset]) -> str:
    """What is used: the sizes of the splits, and which label is which output of the network.

    Args:
      splits: training and test split, of the chosen classes.
      whole: the same of all classes.
    """
    train, test = splits
    names = train.class_names
    numbered = names == tuple(map(str, range(len(names))))
    shown = [name if numbered else f"{number} = {name}" for number, name in enumerate(names)]
    cut = ", ..." if len(shown) > SHOWN_CLASSES else ""
    some = len(names) < whole[0].num_classes
    # Places in the whole file are kept where it has no test split of its own.
    fifths = (whole[1].indices % 5 == 4).all()
    return (
        f"data     {train.name}: {len(train):,} training and {len(test):,} test "
        f"{'images' if train.are_images else 'examples'}"
        f"{' (every fifth of the file)' if fifths else ''}; "
        f"classes {', '.join(shown[:SHOWN_CLASSES])}{cut}"
        f"{f' of {whole[0].num_classes}' if some else ''}"
    )


def check_augmented(dataset: data.Dataset, specs: Sequence[str]) -> None:
    """Raises InputError where an augmentation is asked for of examples that are no images."""
    for spec in specs:
        augmentation_for(dataset, spec)


def training_config(options: NetworkOptions, network: int = 0) -> training.TrainingConfig:
    """The pretraining of one of the networks."""
    entry = models.MODELS.get(options.model)
    defaults = training.TrainingConfig(
        epochs=max(given_epochs(options), default=15),
        learning_rate=entry.learning_rate if entry else DEFAULT_LEARNING_RATE,
        weight_decay=0.0,
        seed=options.seed + network,
    )
    return replace(defaults, **given_overrides(options.pretraining))


def model_options(options: NetworkOptions) -> dict:
    """The options of the model that were given."""
    given = {"width": options.width, "activation": options.activation}
    return {name: value for name, value in given.items() if value is not None}


def build_model(options: NetworkOptions, train_set: data.Dataset) -> models.Network:
    """The network of --model, with one output per class."""
    return models.build_network(options.model, train_set.num_classes, **model_options(options))


def initial_view(options: NetworkOptions, train_set: data.Dataset) -> models.ModelView:
    """The first network at its initial weights, for checks and estimates before its training."""
    network = build_model(options, train_set)
    state = initial_state(network, train_set.example, training_config(options))
    view = network.view(state.params, state.state)
    count_outputs(view, train_set.example)
    return view


def load_checkpoints(folders: Sequence[str], epochs: Sequence[int]) -> list[StudiedNetwork]:
    """The networks of --checkpoint: each run after each number of epochs, by default its last."""
    return [
        _as_studied(training.load_trained_model(folder, epoch=epoch))
        for folder in folders
        for epoch in epochs or (None,)
    ]


def load_own_weights(options: NetworkOptions, train_set: data.Dataset) -> list[StudiedNetwork]:
    """The networks of --weights, in the order given."""
    if not options.weights:
        return []
    network = build_model(options, train_set)
    found = []
    for path in options.weights:
        try:
            view = models.load_weights(network, train_set.example, path)
        except NtkAugError as error:
            names = ", ".join(train_set.class_names[:SHOWN_CLASSES])
            raise InputError(
                f"--weights {error} (the network has an output for each of the classes {names})"
            ) from None
        origin = {
            "model": options.model,
            "options": model_options(options),
            "training": None,
            "method": None,
            "epochs_done": None,
            "folder": str(path),
        }
        found.append(StudiedNetwork(view, origin))
    return found


def pretrain(
    options: NetworkOptions, train_set: data.Dataset, test_set: data.Dataset, *, networks: int = 1
) -> list[StudiedNetwork]:
    """Pretrains the networks, or finds them in the cache."""
    found = []
    for number in range(networks):
        with progress_bars(f"network {number + 1}/{networks} ") as progress:
            network = training.train_named_model(
                options.model,
                train_set,
                training_config(options, number),
                options=model_options(options),
                test_set=test_set,
                cache=options.cache,
                progress=progress,
            )
        found.append(_as_studied(network))
    return found


def _as_studied(network: PretrainedNetwork) -> StudiedNetwork:
    config = network.run.config
    origin = {
        "model": config["model"]["name"],
        "options": config["model"]["options"],
        "training": config["training"],
        "method": config.get("method"),
        "epochs_done": len(network.history),
        "folder": str(network.run.path),
    }
    return StudiedNetwork(network.view, origin, config["data"])
