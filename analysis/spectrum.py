"""`python -m analysis spectrum`: the study of supplement C.1, C.2 and Figure 1."""

import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import jax
import numpy as np
import tyro

from analysis.spectrum_output import draw_outputs, print_table, write_study
from ntk_aug import augment, data, jacobian, models, records, spectrum, training
from ntk_aug.checks import InputError, check_at_least, check_choice
from ntk_aug.progress import progress_bars

MARKER = "summary.json"
FIRST_CLASSES = 3


@dataclass(frozen=True)
class SpectrumOptions:
    """What augmentation does to the singular values and subspaces of a network's Jacobian.

    Pretrains networks (or takes checkpoints), computes the exact spectrum of the Jacobian on plain
    and on augmented images, and compares both in bins of equal count. Writes summary.json,
    spectrum.npz, figures (PNG, PDF) and report.html.
    """

    data: str | None = None
    """Data set by name (digits works without a download); default: digits, or the checkpoint's."""
    data_dir: str | None = None
    """Where prepared data sets lie; default: the environment variable TFDS_DATA_DIR."""
    images: str | None = None
    """Your own images: an npz file with images [n, h, w(, c)] and labels [n]."""
    classes: tuple[str, ...] = ()
    """Classes by name or number; default: the first three, or the checkpoint's."""
    n: int | None = None
    """Images drawn uniformly from the chosen classes; default: 300, or all if there are fewer."""
    per_class: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Draw n images of each class instead of n in all."""
    model: str = "mlp"
    """Network by name, or module:function for your own."""
    width: int | None = None
    """Hidden units of the MLP; default 128."""
    activation: str | None = None
    """Activation of the MLP, relu or tanh; default relu."""
    checkpoint: tuple[str, ...] = ()
    """Folders of training runs to take the networks from, instead of pretraining."""
    epoch: int | None = None
    """Which checkpoint of those runs, by epochs of training; default: the last."""
    networks: int = 1
    """Networks to pretrain, from seeds seed, seed + 1, ..."""
    epochs: int = 15
    """Epochs of pretraining."""
    batch_size: int = 128
    """Images per step of pretraining."""
    learning_rate: float | None = None
    """Of SGD with momentum; default: the model's (MLP 0.05, ResNets 0.1)."""
    momentum: float = 0.9
    """Of SGD."""
    weight_decay: float = 0.0
    """Of SGD."""
    train_augment: str = "identity"
    """Augmentation during pretraining."""
    pretrain_on: str = "classes"
    """Pretrain on all training images of the chosen classes, or on the n of the study: study."""
    augment: tuple[str, ...] = ("identity", "rotation:30", "flip-crop", "noise:0.5", "noise:2")
    """Augmentations to study: names, name:strength, or module:function for your own."""
    draws: int = 1
    """Augmented versions of all images per augmentation."""
    rows: str = "logits"
    """Rows of the Jacobian: logits, probabilities, or true-logit (one row per image)."""
    bins: int = spectrum.DEFAULT_BINS
    """Bins of equal count."""
    backend: str = "kernel"
    """How spectra are computed: kernel, or svd (direct; small problems)."""
    dtype: str = "float32"
    """Precision of the network and of the Jacobian rows: float32 or float64."""
    memory_gib: float = 2.0
    """Budget of Jacobian rows held at once, in GiB."""
    seed: int = 0
    """Of images, networks and augmentations."""
    out: str = "runs/spectrum"
    """Folder to write."""
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Replace an earlier study in that folder."""
    cache: str = "runs/pretrained"
    """Folder of pretrained networks, found again by their full configuration."""
    from_: Annotated[str | None, tyro.conf.arg(name="from")] = None
    """Redraw figures, report and table from this folder's files, without any computation."""
    dry_run: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Say how many rows and parameters, how much memory and time it takes, and stop."""


class StudyInputs(NamedTuple):
    """The images of a study: what networks are trained and tested on, and what is studied."""

    train: data.Dataset
    test: data.Dataset
    study: data.Dataset


def run_spectrum(options: SpectrumOptions) -> None:
    """Runs the command; raises InputError for anything that the user can mend."""
    if options.from_ is not None:
        return redraw(Path(options.from_))
    records.check_free_folder(options.out, marker=MARKER, overwrite=options.overwrite)
    check_options(options)
    augmentations = {spec: augment.build_augmentation(spec) for spec in options.augment}
    runs = [training.load_trained_model(c, epoch=options.epoch) for c in options.checkpoint]
    inputs = load_inputs(options, runs)
    if not runs:  # an unknown model or option is told before anything is computed
        models.build_network(options.model, inputs.train.num_classes, **model_options(options))
    if options.dry_run:
        return print_cost(options, inputs, runs)

    start = time.perf_counter()
    networks = runs or pretrain(options, inputs)
    with progress_bars() as progress:
        study = spectrum.study_spectrum(
            [network.view for network in networks],
            data.unit_range(inputs.study.images),
            augmentations,
            labels=inputs.study.labels if options.rows == "true-logit" else None,
            indices=inputs.study.indices,
            preprocess=preprocessing(inputs),
            draws=options.draws,
            num_bins=options.bins,
            rows=options.rows,
            backend=options.backend,
            dtype=options.dtype,
            seed=options.seed,
            memory_bytes=memory_bytes(options),
            progress=progress,
        )
    summary = describe(options, inputs, networks, study, time.perf_counter() - start)
    with records.staged_folder(options.out, marker=MARKER, overwrite=options.overwrite) as folder:
        write_study(folder, study, summary)
        draw_outputs(folder, study, summary)
    print_table(study, summary)
    print(f"figures  {Path(options.out, 'figures')}\nreport   {Path(options.out, 'report.html')}")
    return None


def redraw(folder: Path) -> None:
    """Draws figures, report and table again from summary.json and spectrum.npz."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder, expected one that this command wrote")
    summary = records.read_json(folder / MARKER)
    study = spectrum.SpectrumStudy.load(folder / "spectrum.npz")
    draw_outputs(folder, study, summary)
    print_table(study, summary)
    print(f"figures  {folder / 'figures'}\nreport   {folder / 'report.html'}")


def check_options(options: SpectrumOptions) -> None:
    """Checks what can be checked without data, so that nothing long starts in vain."""
    check_at_least(options.networks, 1, "--networks")
    check_at_least(options.draws, 1, "--draws")
    check_at_least(options.bins, 1, "--bins")
    check_choice(options.rows, jacobian.ROWS, "kind of rows")
    check_choice(options.backend, spectrum.BACKENDS, "backend")
    check_choice(options.dtype, ("float32", "float64"), "dtype")
    check_choice(options.pretrain_on, ("classes", "study"), "set to pretrain on")
    if options.backend == "svd" and options.dtype != "float64":
        raise InputError("--backend svd needs --dtype float64")
    if len(set(options.augment)) < len(options.augment) or not options.augment:
        raise InputError(f"--augment is {options.augment}, expected at least one, and none twice")
    if options.images and options.data:
        raise InputError("--images and --data exclude each other")
    if options.epoch is not None and not options.checkpoint:
        raise InputError("--epoch chooses a checkpoint of --checkpoint, which is not given")


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
    n = options.n if options.n is not None else min(300, len(train))
    key = jax.random.fold_in(jax.random.key(options.seed), 2)
    study = data.draw_examples(key, train, n, per_class=options.per_class)
    return StudyInputs(study if options.pretrain_on == "study" else train, test, study)


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


def preprocessing(inputs: StudyInputs):
    """From images in [0, 1] to the network's inputs."""
    return partial(data.normalize, mean=inputs.train.mean, std=inputs.train.std)


def memory_bytes(options: SpectrumOptions) -> int:
    """The budget of Jacobian rows."""
    check_at_least(options.memory_gib, 0, "--memory-gib")
    return int(options.memory_gib * 2**30)


def print_cost(
    options: SpectrumOptions, inputs: StudyInputs, runs: list[training.PretrainedNetwork]
) -> None:
    """Says what the study will take, after a few seconds of measurement."""
    network = models.build_network(
        options.model, inputs.train.num_classes, **model_options(options)
    )
    if runs:
        view, training_seconds = runs[0].view, 0.0
    else:
        config = training_config(options, 0)
        state = training.initial_state(network, inputs.train.image_shape, config)
        view = network.view(state.params, state.state)
        training_seconds = training.estimate_training_seconds(network, inputs.train, config)
    images = np.asarray(preprocessing(inputs)(data.unit_range(inputs.study.images)))
    engine = jacobian.JacobianRows(
        view.apply_fn, view.params, images.shape[1:], rows=options.rows, dtype=options.dtype
    )
    cost = spectrum.estimate_cost(engine, images, memory_bytes=memory_bytes(options))
    num_networks = len(runs) or options.networks
    num_pairs = num_networks * len(options.augment) * options.draws
    seconds = num_networks * cost.seconds_plain + num_pairs * cost.seconds_per_draw
    print(
        f"rows        {cost.num_rows:,} ({len(images):,} images x {engine.outputs_per_example})\n"
        f"parameters  {cost.num_params:,}\n"
        f"memory      {cost.memory_bytes / 2**30:.2f} GiB "
        f"(one Jacobian is {cost.jacobian_bytes / 2**30:.2f} GiB)\n"
        f"pretraining {num_networks * training_seconds / 60:.1f} minutes "
        "(none where a network is found pretrained)\n"
        f"spectra     {seconds / 60:.1f} minutes ({num_networks} networks x "
        f"{len(options.augment)} augmentations x {options.draws} draws)"
    )


def describe(
    options: SpectrumOptions,
    inputs: StudyInputs,
    networks: list[training.PretrainedNetwork],
    study: spectrum.SpectrumStudy,
    seconds: float,
) -> dict:
    """All of summary.json: what was done, with what, and what was found."""
    descriptions = {
        spec: getattr(augment.AUGMENTATIONS.get(spec.partition(":")[0]), "description", "your own")
        for spec in options.augment
    }
    return {
        "options": asdict(options),
        "data": {
            "name": inputs.study.name,
            "classes": inputs.study.class_names,
            "num_train": len(inputs.train),
            "num_test": len(inputs.test),
            "num_study": len(inputs.study),
            "images_per_class": np.bincount(inputs.study.labels).tolist(),
            "study_fingerprint": inputs.study.fingerprint(),
        },
        "networks": [
            {
                "model": network.run.config["model"]["name"],
                "options": network.run.config["model"]["options"],
                "training": network.run.config["training"],
                "train_accuracy": training.evaluate_view(network.view, inputs.train)[1],
                "test_accuracy": training.evaluate_view(network.view, inputs.test)[1],
            }
            for network in networks
        ],
        "study": asdict(study.settings),
        "num_bins": study.num_bins,
        "left_baseline": study.left_baseline,
        "right_baseline": study.right_baseline,
        "augmentations": [
            {"description": descriptions[item.name], **_as_dict(item)}
            for item in spectrum.summarize_study(study)
        ],
        "environment": records.environment(),
        "seconds": seconds,
    }


def _as_dict(item: spectrum.AugmentationSummary) -> dict:
    bins = {name: value._asdict() for name, value in item.bins.items()}
    return {**item._asdict(), "bins": bins}
