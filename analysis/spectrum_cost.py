"""What a spectrum study is going to take: `--dry-run`."""

import numpy as np

from analysis.spectrum_inputs import StudyInputs, model_options, preprocessing, training_config
from analysis.spectrum_options import SpectrumOptions, memory_bytes
from ntk_aug import data, jacobian, models, spectrum, training


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
