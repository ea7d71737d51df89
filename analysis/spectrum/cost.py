"""Estimates memory and time of a spectrum study."""

import numpy as np

from analysis.common.networks import StudiedNetwork, model_options, training_config
from analysis.spectrum.inputs import StudyInputs, preprocessing
from analysis.spectrum.options import SpectrumOptions, memory_bytes
from ntk_aug import data, jacobian, models, spectrum
from ntk_aug.checks import check_count
from ntk_aug.inputs import example_shapes
from ntk_aug.ntk.neural_tangents.kernels import estimate_neural_tangents
from ntk_aug.ntk.row_store import images_per_tile
from ntk_aug.training.cost import estimate_training_seconds


def check_size(options: SpectrumOptions, inputs: StudyInputs, view: models.ModelView) -> None:
    """Raises InputError if rows do not fit the memory budget or there are too many bins."""
    images = network_inputs(inputs)
    engine = rows_engine(options, images, view)
    if options.bins is not None:
        num_values = min(len(images) * engine.outputs_per_example, engine.num_params)
        check_count(options.bins, num_values, f"--bins for {num_values:,} singular values")
    if options.backend == "kernel":
        images_per_tile(engine, len(images), memory_bytes(options))


def rows_engine(
    options: SpectrumOptions, images: np.ndarray, view: models.ModelView
) -> jacobian.JacobianRows:
    """The `JacobianRows` of a network."""
    return jacobian.JacobianRows(
        view, example_shapes(images), rows=options.rows, dtype=options.dtype
    )


def print_cost(
    options: SpectrumOptions,
    inputs: StudyInputs,
    view: models.ModelView,
    runs: list[StudiedNetwork],
) -> None:
    """Prints memory and time, after a few seconds of measurement on the first network."""
    images = network_inputs(inputs)
    engine = rows_engine(options, images, view)
    cost = spectrum.estimate_cost(
        engine, images, inputs.study.labels, memory_bytes=memory_bytes(options)
    )
    num_networks = len(runs) or options.networks
    num_pairs = num_networks * len(options.augment) * options.draws
    seconds = num_networks * cost.seconds_plain + num_pairs * cost.seconds_per_draw
    print(
        f"rows        {cost.num_rows:,} ({len(images):,} images x {engine.outputs_per_example})\n"
        f"parameters  {cost.num_params:,}\n"
        f"memory      {cost.memory_bytes / 2**30:.2f} GiB "
        f"(one Jacobian is {cost.jacobian_bytes / 2**30:.2f} GiB)"
    )
    if not runs:
        network = models.build_network(
            options.model, inputs.train.num_classes, **model_options(options)
        )
        training_seconds = estimate_training_seconds(
            network, inputs.train, training_config(options, 0)
        )
        print(
            f"pretraining {num_networks * training_seconds / 60:.1f} minutes "
            "(none where a network is found pretrained)"
        )
    if options.backend == "svd":
        print(f"spectra     by direct decomposition, of {2 * cost.jacobian_bytes / 2**30:.3g} GiB")
    elif options.backend == "neural_tangents":
        print_neural_tangents_cost(options, inputs, view, num_networks)
    else:
        print(
            f"spectra     {seconds / 60:.1f} minutes by backend kernel ({num_networks} networks x "
            f"{len(options.augment)} augmentations x {options.draws} draws)"
        )


def print_neural_tangents_cost(
    options: SpectrumOptions, inputs: StudyInputs, view: models.ModelView, num_networks: int
) -> None:
    """Prints neural_tangents' time; raises InputError for a network that it cannot take."""
    estimate = estimate_neural_tangents(
        view,
        network_inputs(inputs),
        inputs.study.labels,
        versions=len(options.augment) * options.draws,
        rows=options.rows,
        implementation=options.implementation,
        dtype=options.dtype,
    )
    print(
        f"kernels     {num_networks * estimate.seconds / 60:.1f} minutes by neural_tangents' "
        f"{options.implementation} ({num_networks} networks x {estimate.num_blocks:,} blocks of "
        f"{estimate.block_seconds:.2g} s)",
        flush=True,
    )


def network_inputs(inputs: StudyInputs) -> np.ndarray:
    """The images of the study as network inputs."""
    return np.asarray(preprocessing(inputs)(data.unit_range(inputs.study.images)))
