"""`python -m analysis spectrum`: the study of supplement C.1, C.2 and Figure 1."""

import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from analysis.spectrum_cost import print_cost
from analysis.spectrum_inputs import (
    StudyInputs,
    load_inputs,
    model_options,
    preprocessing,
    pretrain,
)
from analysis.spectrum_options import SpectrumOptions, check_options, memory_bytes
from analysis.spectrum_output import draw_outputs, print_table, write_study
from ntk_aug import augment, data, models, records, spectrum, training
from ntk_aug.checks import InputError
from ntk_aug.progress import progress_bars

MARKER = "summary.json"


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
