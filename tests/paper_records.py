"""Synthetic records of runs, in the form that training writes, with known numbers."""

import json
from dataclasses import asdict, replace

import numpy as np

from analysis.paper.settings import paper_settings
from analysis.recorded.reading import read_runs
from analysis.tables.collecting import collect_tables
from analysis.tables.output import cells_of
from ntk_aug.records import write_json, write_npz
from ntk_aug.training import MethodConfig, TrainingConfig
from ntk_aug.training.history import EpochRecord
from ntk_aug.training.run_folder import FORMAT_VERSION, RunFolder

SMALL = TrainingConfig(epochs=4, batch_size=10, weak="weak-digits")
T1_CIFAR10 = {"data": "cifar10", "model": "resnet20", "num_examples": 50_000}


def lines_of(folder):
    """The lines of all tables by table, part, and row with its star."""
    tables = collect_tables(read_runs(str(folder)))
    found = {(line.table, line.part, cells_of(line)[0]): line for line in tables.lines}
    assert len(found) == len(tables.lines)
    return found


def write_run(
    folder,
    *,
    method=None,
    training=SMALL,
    data="digits",
    model="mlp",
    num_examples=100,
    seed=0,
    accuracies=(0.1, 0.2, 0.3, 0.5),
    images=40,
    seconds=(1.0, 2.0, 3.0),
    distinct=10,
    selections=None,
    imbalance=None,
    fingerprint="data",
):
    """Writes a run; accuracies are those of its last epochs, seconds those of each epoch."""
    method = method or MethodConfig()
    training = replace(training, seed=seed)
    config = {
        "format_version": FORMAT_VERSION,
        "preset": None,
        "overrides": {},
        "experiment": {"classes": [], "imbalance": imbalance, "label_noise": 0.0},
        "model": {"name": model, "options": {}, "fingerprint": model},
        "test": "test",
        "given": {"soft_labels": None, "selection": None},
        "training": asdict(training),
        "method": asdict(method),
        "data": {
            "name": data,
            "num_examples": num_examples,
            "class_names": ["0", "1"],
            "fingerprint": fingerprint,
        },
    }
    write_json(folder / "config.json", config)
    environment = {"device": "cpu: cpu", "processor": "P", "cpu_count": 2, "jax": "1"}
    write_json(folder / "environment.json", environment)
    epochs = training.epochs
    known = [None] * (epochs - len(accuracies)) + list(accuracies)[-epochs:]
    lines = []
    for epoch in range(1, epochs + 1):
        record = EpochRecord(
            epoch,
            train_loss=1 / epoch,
            train_accuracy=0.5,
            test_accuracy=known[epoch - 1],
            examples=images * epoch // epochs,
            distinct_used=num_examples,
            distinct_selected=distinct * epoch // epochs,
            seconds_training=seconds[0],
            seconds_selection=seconds[1],
            seconds_augmentation=seconds[2],
            seconds_evaluation=1000.0,
        )
        lines.append(json.dumps(record._asdict()) + "\n")
    (folder / "metrics.jsonl").write_text("".join(lines))
    for epoch, arrays in (selections or {}).items():
        plain = arrays if isinstance(arrays, dict) else {"indices": arrays}
        known = {name: np.array(own, np.int32) for name, own in plain.items()}
        write_npz(folder / "selections" / f"{epoch:05}.npz", known)
    return folder


def write_timing(folder, run, *, seconds, others=0.0, processors=2):
    """Writes the timing of a run's settings, from the seconds of an epoch, a selection and redraws.

    These are the medians of what is recorded; the means are twice as large.
    """
    write_json(folder / "config.json", RunFolder.read(run).config)
    write_json(folder / "environment.json", {"device": "cpu: cpu", "processor": "P"})
    names = ("training", "selection", "weak", "strong")
    parts = {name: [0.5 * one, one, 4.5 * one] for name, one in zip(names, seconds, strict=True)}
    told = {"format_version": 1, "seconds": parts, "others": others, "processors": processors}
    write_json(folder / "timing.json", told)


def write_t1_run(folder, selector, *, seed=0, accuracy=0.9, size=None, changed=None, **others):
    """A run of T1 on CIFAR10/ResNet20, with fields of its configurations changed."""
    budget = {} if size is None else {"fraction": size}
    stated = paper_settings(
        *("cifar10", "resnet20"), weak_every=20, selector=selector, reselect_every=20, **budget
    )
    changed = changed or {}
    training, method = (
        replace(one, **{name: value for name, value in changed.items() if hasattr(one, name)})
        for one in (stated.training, stated.method)
    )
    return write_run(
        folder,
        method=method,
        training=training,
        seed=seed,
        accuracies=(accuracy,),
        **{**T1_CIFAR10, **others},
    )
