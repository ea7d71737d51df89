"""`python -m analysis spectrum`: the study of supplement C.1, C.2 and Figure 1."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import jax
import numpy as np

from analysis.common.networks import (
    StudiedNetwork,
    check_augmented,
    initial_view,
    load_checkpoints,
    load_own_weights,
    pretrain,
)
from analysis.common.options import earlier_output
from analysis.spectrum.accuracy import accuracy_counts
from analysis.spectrum.cost import check_size, print_cost, print_neural_tangents_cost
from analysis.spectrum.followed import summarised_parts
from analysis.spectrum.inputs import StudyInputs, load_inputs, preprocessing
from analysis.spectrum.options import SpectrumOptions, check_options, memory_bytes
from analysis.spectrum.output import draw_outputs, print_table, read_study, write_study
from ntk_aug import augment, data, models, ntk, records, spectrum, training
from ntk_aug.aliases import Augmentation
from ntk_aug.checks import check_count
from ntk_aug.jacobian.outputs import LABELLED_ROWS
from ntk_aug.progress import progress_bars
from ntk_aug.spectrum.accuracy import UNCERTAIN_SHARE
from ntk_aug.spectrum.augmented_versions import AugmentedVersions
from ntk_aug.spectrum.summary import AugmentationSummary

MARKER = "summary.json"


def run_spectrum(options: SpectrumOptions) -> None:
    """Runs the command; raises InputError for a user's mistake."""
    if options.from_ is not None:
        return redraw(earlier_output(options.from_))
    records.check_free_folder(options.out, marker=MARKER, overwrite=options.overwrite)
    check_options(options)
    augmentations = {spec: augment.build_augmentation(spec) for spec in options.augment}
    runs = load_checkpoints(options.checkpoint, options.epochs)
    inputs = load_inputs(options, runs)
    check_augmented(inputs.study, options.augment)
    runs = runs or load_own_weights(options, inputs.train)
    check_count(options.compare_kernels, len(inputs.study), "--compare-kernels", minimum=0)
    # What cannot be used is told before anything is trained: an augmentation that changes the
    # size or leaves [0, 1], an unknown model or option.
    check_first_draws(options, augmentations, inputs)
    view = runs[0].view if runs else initial_view(options, inputs.train)
    check_size(options, inputs, view)
    if options.dry_run:
        return print_cost(options, inputs, view, runs)
    if options.backend == "neural_tangents":
        print_neural_tangents_cost(options, inputs, view, len(runs) or options.networks)
    start = time.perf_counter()
    networks = runs or pretrain(options, inputs.train, inputs.test, networks=options.networks)
    agreement = None
    if options.compare_kernels:
        agreement = compare_kernels(options, inputs, networks[0].view, augmentations)
    labelled = options.rows in LABELLED_ROWS
    with progress_bars() as progress:
        study = spectrum.study_spectrum(
            options.seed,
            [network.view for network in networks],
            data.unit_range(inputs.study.images),
            augmentations,
            labels=inputs.study.labels if inputs.are_outputs or labelled else None,
            indices=inputs.study.indices,
            preprocess=preprocessing(inputs),
            draws=options.draws,
            num_bins=options.bins,
            rows=options.rows,
            backend=options.backend,
            implementation=options.implementation,
            dtype=options.dtype,
            memory_bytes=memory_bytes(options),
            blocks_folder=options.keep_blocks,
            progress=progress,
        )
    summary = describe(options, inputs, networks, study, agreement, time.perf_counter() - start)
    with records.staged_folder(options.out, marker=MARKER, overwrite=options.overwrite) as folder:
        write_study(folder, study, summary)
        draw_outputs(folder, study, summary)
    print_table(study, summary)
    print(f"figures  {Path(options.out, 'figures')}\nreport   {Path(options.out, 'report.html')}")
    return None


def check_first_draws(
    options: SpectrumOptions, augmentations: Mapping[str, Augmentation], inputs: StudyInputs
) -> None:
    """Raises InputError for an augmentation whose first draw a study would refuse."""
    versions = AugmentedVersions(
        augmentations,
        jax.random.key(options.seed),
        data.unit_range(inputs.study.images),
        inputs.study.indices,
        preprocessing(inputs),
    )
    for _ in versions(1):
        pass


def redraw(folder: Path) -> None:
    """Draws figures, report and table from the files of an earlier run."""
    study, summary = read_study(folder)
    draw_outputs(folder, study, summary)
    print_table(study, summary)
    print(f"figures  {folder / 'figures'}\nreport   {folder / 'report.html'}")


def compare_kernels(
    options: SpectrumOptions,
    inputs: StudyInputs,
    view: models.ModelView,
    augmentations: Mapping[str, Augmentation],
) -> dict:
    """Computes kernels of a few images by this library and by neural_tangents."""
    some = inputs.study.take(np.arange(options.compare_kernels))
    plain = data.unit_range(some.images)
    name = next((name for name in augmentations if name != "identity"), options.augment[0])
    key = jax.random.key(options.seed)
    augmented = augment.augment_batch(augmentations[name], key, plain, some.indices)
    preprocess = preprocessing(inputs)
    agreement = ntk.compare_with_neural_tangents(
        view,
        np.asarray(preprocess(plain)),
        np.asarray(preprocess(augmented)),
        some.labels,
        rows=options.rows,
        implementation=options.implementation,
        dtype=options.dtype,
    )
    return {"augmentation": name, "largest": agreement.largest, **agreement._asdict()}


def describe(
    options: SpectrumOptions,
    inputs: StudyInputs,
    networks: list[StudiedNetwork],
    study: spectrum.SpectrumStudy,
    agreement: dict | None,
    seconds: float,
) -> dict:
    """The content of summary.json."""
    descriptions = {spec: augment.describe_augmentation(spec) for spec in options.augment}
    summary = {
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
                **network.origin,
                "train_accuracy": training.evaluate(network.view, inputs.train).accuracy,
                "test_accuracy": training.evaluate(network.view, inputs.test).accuracy,
            }
            for network in networks
        ],
        "study": asdict(study.settings),
        "num_bins": study.num_bins,
        "left_baseline": study.left_baseline,
        "right_baseline": study.right_baseline,
        "accuracy": _accuracy(study),
        "kernel_agreement": agreement,
        "environment": records.environment(),
        "seconds": seconds,
    }
    summary["augmentations"] = [
        {"part": name, "description": descriptions[item.name], **_as_dict(item)}
        for name, part in summarised_parts(study, summary)
        for item in spectrum.summarize_study(part)
    ]
    return summary


def _accuracy(study: spectrum.SpectrumStudy) -> dict:
    """The rounding of the singular values of all networks; null if unknown."""
    counts = accuracy_counts(study)
    return {
        "dtype": study.settings.dtype,
        "uncertain_share": UNCERTAIN_SHARE,
        "unknown_errors": study.settings.unknown_errors,
        **counts["plain"]._asdict(),
        "relative_rows_norm": study.rows_norm / study.values[:, 0],
        "float32_row_error": {
            "images": study.row_error_images,
            "median": study.row_error_median,
            "largest": study.row_error,
            "largest_without_flips": study.row_error_without_flips,
        },
        "augmented": {
            **counts["augmented"]._asdict(),
            "relative_rows_norm": study.augmented_rows_norm / study.augmented_values[..., 0],
            "float32_row_error": {
                "images": study.augmented_row_error_images,
                "median": study.augmented_row_error_median,
                "largest": study.augmented_row_error,
                "largest_without_flips": study.augmented_row_error_without_flips,
            },
        },
    }


def _as_dict(item: AugmentationSummary) -> dict:
    bins = {name: value._asdict() for name, value in item.bins.items()}
    return {**item._asdict(), "bins": bins}
