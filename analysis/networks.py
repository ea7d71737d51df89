"""The data and the networks of a command: loaded, trained, or found trained."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from analysis.network_options import NetworkOptions
from ntk_aug import data, models, training
from ntk_aug.checks import InputError
from ntk_aug.progress import progress_bars


def load_splits(
    options: NetworkOptions,
    recorded: Mapping | None,
    *,
    classes: Sequence[str] = (),
    first_classes: int | None = None,
) -> list[data.Dataset]:
    """Loads the training and the test split, of the chosen classes.

    Args:
      options: of any command.
      recorded: what a checkpoint's run says of its data: what is not chosen is as there.
      classes: by name or number; none: those of the checkpoint, or the first.
      first_classes: how many these are; None: all.
    """
    name = options.data or (recorded["name"] if recorded and not options.images else "digits")
    splits = []
    for split in data.SPLITS:
        if options.images:
            dataset = data.load_images_file(options.images, split)
        else:
            dataset = data.load_dataset(name, split, data_dir=options.data_dir)
        chosen = classes or dataset.class_names[:first_classes]
        if recorded and not classes and recorded["name"] == dataset.name:
            chosen = recorded["class_names"]
        dataset = data.select_classes(dataset, chosen)
        if recorded:
            mean, std = (tuple(recorded[key]) for key in ("mean", "std"))
            dataset = replace(dataset, mean=mean, std=std)
        splits.append(dataset)
    if recorded and splits[0].image_shape != tuple(recorded["image_shape"]):
        raise InputError(
            f"images of {name} are {splits[0].image_shape}, but the checkpoint's network was "
            f"trained on {tuple(recorded['image_shape'])}"
        )
    return splits


def training_config(options: NetworkOptions, network: int = 0) -> training.TrainingConfig:
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


def model_options(options: NetworkOptions) -> dict:
    """The options of the model that were given."""
    given = {"width": options.width, "activation": options.activation}
    return {name: value for name, value in given.items() if value is not None}


def initial_view(options: NetworkOptions, train_set: data.Dataset) -> models.ModelView:
    """The first network before its training: of the same cost as after it."""
    network = models.build_network(options.model, train_set.num_classes, **model_options(options))
    state = training.initial_state(network, train_set.image_shape, training_config(options))
    return network.view(state.params, state.state)


def pretrain(
    options: NetworkOptions, train_set: data.Dataset, test_set: data.Dataset, *, networks: int = 1
) -> list[training.PretrainedNetwork]:
    """Pretrains the networks, or finds them pretrained."""
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
        found.append(network)
    return found
