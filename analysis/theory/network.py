"""Checks the theory on a trained network, with real augmentations and a real coreset."""

from collections.abc import Collection
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from analysis.common.networks import (
    StudiedNetwork,
    check_augmented,
    initial_view,
    load_checkpoints,
    load_own_weights,
    load_splits,
    pretrain,
)
from analysis.common.options import given_epochs
from analysis.theory.options import TheoryOptions
from analysis.theory.records import number, ratios_record
from ntk_aug import augment, coreset, data, jacobian, ntk, theory, training
from ntk_aug.aliases import Inputs, Progress
from ntk_aug.checks import check_count
from ntk_aug.errors import InputError
from ntk_aug.inputs import example_shapes
from ntk_aug.models.network import num_params
from ntk_aug.randomness import generator
from ntk_aug.spectrum.augmented_versions import AugmentedVersions
from ntk_aug.theory.networks import check_memory

# What the seed's key is folded with: all that is drawn has a key of its own.
OF_EXAMPLES, OF_SELECTION, OF_POOL, OF_RANDOM_SUBSETS = 2, 3, 6, 7
POOL_FRACTION = 0.1
DEFAULT_POOL = 300
RANDOM_SUBSETS = 20
TIMES = 17
"""Points of the curves of training, one of them at 0 and the others at equal ratios."""

ON_CLEAN_EXAMPLES = ("A.5", "B.3")
PER_AUGMENTATION = {"4.1", "5.1", "B.1", "F1", "F2", "F3"}
NOT_AUGMENTED = "none"
"""In place of an augmentation, of statements on clean examples alone."""

Arrays = dict[str, np.ndarray]


class NetworkInputs(NamedTuple):
    """Both splits, and the network if it is trained already."""

    train: data.Dataset
    test: data.Dataset
    trained: list[StudiedNetwork]


def load_inputs(options: TheoryOptions, statements: Collection[str]) -> NetworkInputs:
    """Loads data and trained networks, and checks that the statements apply to them.

    Raises:
      InputError: what cannot be used, before anything is trained.
    """
    checkpoint = () if options.checkpoint is None else (options.checkpoint,)
    trained = load_checkpoints(checkpoint, given_epochs(options))
    train, test = load_splits(
        options, trained[0].trained_on if trained else None, classes=options.classes
    )
    check_count(options.n, len(train), "--n (images)")
    if options.pool is not None:
        check_count(options.pool, len(train), "--pool (images)")
    check_augmented(train, options.augment)
    inputs = NetworkInputs(train, test, trained or load_own_weights(options, train))
    rows, P = jacobian_shape(options, inputs)
    check_memory(options.n, train.num_classes, P)
    if "B.1" in statements and rows > P:
        raise InputError(
            f"J has {rows} rows and {P} columns, and Theorem B.1 needs no more rows than columns: "
            "take a smaller --n, or leave B.1 out by --only"
        )
    return inputs


def jacobian_shape(options: TheoryOptions, inputs: NetworkInputs) -> tuple[int, int]:
    """Rows and columns of J on the n images."""
    view = inputs.trained[0].view if inputs.trained else initial_view(options, inputs.train)
    return options.n * inputs.train.num_classes, num_params(view.params)


def print_cost(options: TheoryOptions, statements: Collection[str]) -> None:
    """Prints the statements to check, and rows, parameters and memory of the network."""
    chosen = theory.chosen_statements(options.only)
    print(f"statements  {', '.join(chosen)}: {options.instances:,} random instances of each")
    if not statements:
        return
    rows, P = jacobian_shape(options, load_inputs(options, statements))
    gib = 8 * rows * P * (options.draws + 2) / 2**30
    print(
        f"network     {', '.join(statements)}: {options.n} images, {rows:,} rows x {P:,} parameters"
    )
    print(f"memory      {gib:.2f} GiB of Jacobians in float64 ({options.draws} draws)")
    steps = 2 * options.draws * len(options.augment) * options.steps
    print(f"training    {steps:,} steps of gradient descent on {options.n} images for Theorem B.1")


def study_network(
    options: TheoryOptions, statements: Collection[str], progress: Progress
) -> tuple[dict[str, Any], Arrays]:
    """Checks the statements on the network of the options.

    Returns:
      The results for theory.json, and the curves and spectra for theory.npz.
    """
    train, test, trained = load_inputs(options, statements)
    (network,) = trained or pretrain(options, train, test)
    key = partial(jax.random.fold_in, jax.random.key(options.seed))
    examples = data.draw_examples(key(OF_EXAMPLES), train, options.n)
    plain, versions = _inputs(options, train, examples)
    selected = _coreset(options, network, examples, options.fraction)
    found: dict[str, Any] = {
        "origin": network.origin,
        "data": train.name,
        "classes": train.class_names,
        "test_accuracy": training.evaluate(network.view, test).accuracy,
        "n": options.n,
        "k": len(selected.indices),
        "tightness": {},
        "shifts": {},
        "dynamics": {},
    }
    arrays: Arrays = {}
    for place, (name, drawn) in enumerate(versions.items()):
        if place and not PER_AUGMENTATION & set(statements):
            break
        measured = theory.measure_network(network.view, plain, drawn[0], examples.labels)
        found["certified"] = measured.certified
        labels = [
            label
            for label in theory.NETWORK_STATEMENTS
            if label.split()[0] in statements and (place == 0 or label not in ON_CLEAN_EXAMPLES)
        ]
        sides = theory.network_sides(measured, selected.indices, selected.weights, only=labels)
        for label, side in sides.items():
            of = NOT_AUGMENTED if label in ON_CLEAN_EXAMPLES else name
            found["tightness"].setdefault(of, {})[label] = ratios_record(side)
        if "4.1" in statements:
            shifts = _shifts(network, measured, drawn)
            arrays[f"shifts/{place}/relative"] = shifts.relative
            found["shifts"][name] = {
                "share_decreased": float(shifts.share_decreased.mean()),
                "second_moment_ratio": shifts.second_moment_ratio,
                "largest_over_e": float(np.abs(shifts.relative).max()),
                "share_sigma_below_e": float((shifts.sigma < shifts.e.max()).mean()),
            }
        if "B.1" in statements:
            times = np.unique(np.geomspace(1, options.steps, TIMES - 1).round().astype(int))
            dynamics = theory.network_dynamics(
                network.view,
                plain,
                drawn,
                np.eye(train.num_classes)[examples.labels],
                times=[0, *times],
                progress=progress,
            )
            scalars = {}
            for part, value in dynamics._asdict().items():
                if np.ndim(value):
                    arrays[f"dynamics/{place}/{part}"] = value
                else:
                    scalars[part] = number(value)
            scalars["linearized_from_formula"] = _relative(dynamics.linearized, dynamics.formula)
            scalars["network_from_formula"] = _relative(dynamics.network, dynamics.formula)
            scalars["printed_worst_ratio"] = number(dynamics.printed_ratios.max())
            scalars["printed_violated_from_step"] = dynamics.first_violation
            found["dynamics"][name] = scalars
        progress("augmentations", place + 1, len(versions))
    if "B.3" in statements:
        spectra = _coreset_spectra(options, network, train, progress)
        arrays |= {f"coreset/{part}": values for part, values in spectra._asdict().items()}
        found["coreset_spectra"] = spectra.compared()
    return found, arrays


def _inputs(
    options: TheoryOptions, train: data.Dataset, examples: data.Dataset
) -> tuple[Inputs, dict[str, list[Inputs]]]:
    """The network's inputs, and the same of every augmentation and draw."""
    preprocess = partial(data.normalize, mean=train.mean, std=train.std)
    pixels = data.unit_range(examples.images)
    named = {spec: augment.build_augmentation(spec) for spec in options.augment}
    drawn = iter(
        AugmentedVersions(
            named, jax.random.key(options.seed), pixels, examples.indices, preprocess
        )(options.draws)
    )
    plain = jax.tree.map(np.asarray, preprocess(pixels))
    return plain, {name: [next(drawn) for _ in range(options.draws)] for name in named}


def _coreset(options, network, examples, fraction):
    """A coreset by the whole network's gradients."""
    of_network = coreset.network_examples(network.view, examples, proxy="network")
    key = jax.random.fold_in(jax.random.key(options.seed), OF_SELECTION)
    return coreset.select(key, of_network, fraction=fraction, per_class=False)


def _shifts(network, measured, drawn):
    """The shifts of singular values over all draws; the first is given."""
    shape = (-1, measured.J.shape[-1])
    rows = jacobian.JacobianRows(network.view, example_shapes(drawn[0]), dtype="float64")
    moved = [measured.J_augmented.reshape(shape), *(rows(version) for version in drawn[1:])]
    return theory.measure_shifts(measured.J.reshape(shape), moved)


def _coreset_spectra(options, network, train, progress):
    key = partial(jax.random.fold_in, jax.random.key(options.seed))
    size = min(DEFAULT_POOL, len(train)) if options.pool is None else options.pool
    pool = data.draw_examples(key(OF_POOL), train, size)
    plain = np.asarray(data.normalize(data.unit_range(pool.images), mean=train.mean, std=train.std))
    selected = _coreset(options, network, pool, POOL_FRACTION)
    rows = jacobian.JacobianRows(network.view, example_shapes(plain), dtype="float64")
    kernel = ntk.empirical_kernel(rows, plain, progress=progress)
    counts = np.bincount(pool.labels[selected.indices], minlength=pool.num_classes)
    rng = generator(key(OF_RANDOM_SUBSETS))
    members = [np.flatnonzero(pool.labels == label) for label in range(pool.num_classes)]
    random = [
        np.concatenate(
            [
                rng.choice(own, count, replace=False)
                for own, count in zip(members, counts, strict=True)
            ]
        )
        for _ in range(RANDOM_SUBSETS)
    ]
    return theory.coreset_spectra(kernel, len(pool), selected.indices, selected.weights, random)


def _relative(values, reference):
    return float((np.abs(values - reference) / reference).max())
