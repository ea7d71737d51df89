"""`python -m analysis select`: which examples stand for all, by Algorithm 1's rule or another."""

import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from analysis.common.networks import (
    StudiedNetwork,
    initial_view,
    load_checkpoints,
    load_own_weights,
    load_splits,
    pretrain,
    training_config,
)
from analysis.common.options import earlier_output, given_epochs
from analysis.select.cost import print_cost
from analysis.select.figures import sheet_examples
from analysis.select.inputs import examples_program, group_budgets, select
from analysis.select.options import SelectOptions, budget, check_options, per_class
from analysis.select.output import (
    MARKER,
    draw_outputs,
    list_parts,
    print_table,
    read_selection,
    write_selection,
)
from analysis.select.results import errors_by_class, errors_by_size, errors_of_all
from ntk_aug import coreset, data, records, training
from ntk_aug.progress import progress_bars
from ntk_aug.training.versions import augmentation_for


def run_select(options: SelectOptions) -> None:
    """Runs the command; raises InputError for a user's mistake."""
    if options.list:
        print(list_parts())
        return None
    if options.from_ is not None:
        return redraw(earlier_output(options.from_))
    records.check_free_folder(options.out, marker=MARKER, overwrite=options.overwrite)
    check_options(options)
    checkpoint = () if options.checkpoint is None else (options.checkpoint,)
    trained = load_checkpoints(checkpoint, given_epochs(options))
    recorded = trained[0].trained_on if trained else None
    train, test = load_splits(options, recorded, classes=options.classes)
    # What cannot be selected is told before anything is trained, by a network of the same kind.
    group_budgets(options, train, budget(options))
    augmentation_for(train, training_config(options).weak)
    trained = trained or load_own_weights(options, train)
    view = trained[0].view if trained else initial_view(options, train)
    examples_program(options, view, train)(view.params)
    if options.dry_run:
        return print_cost(options, train, view, pretrained=bool(trained))
    stamps = [time.perf_counter()]
    (network,) = trained or pretrain(options, train, test)
    stamps.append(time.perf_counter())
    with progress_bars() as progress:
        examples = examples_program(options, network.view, train, progress)(network.view.params)
        losses, gradients = examples.losses, examples.gradients
        stamps.append(time.perf_counter())
        selection = select(options, examples, budget(options), progress=progress)
        stamps.append(time.perf_counter())
        by_class = errors_by_class(options, train, examples, selection)
        summary = {
            "options": asdict(options),
            "data": describe_data(train, test),
            "network": describe_network(network, examples, test),
            "per_class": per_class(options),
            "gradient_norm": np.linalg.norm(gradients.combination(np.ones(len(train)))),
            "all": errors_of_all(options, examples, selection, by_class),
            "classes": by_class,
            "by_size": errors_by_size(options, train, examples, progress),
        }
    stamps.append(time.perf_counter())
    stages = ("network", "gradients", "selection", "comparison")
    summary["seconds"] = dict(zip(stages, np.diff(stamps).tolist(), strict=True))
    summary["environment"] = records.environment()
    held = ("indices", "weights", "gains", "labels")
    arrays = {name: getattr(selection, name) for name in held}
    arrays["indices"] = train.indices[selection.indices].astype(np.int64)
    sheet = sheet_examples(train, selection, losses) if train.are_images else {}
    with records.staged_folder(options.out, marker=MARKER, overwrite=options.overwrite) as folder:
        write_selection(folder, summary, arrays, sheet)
        draw_outputs(folder, summary, sheet)
    print_table(Path(options.out), summary)
    return None


def describe_data(train: data.Dataset, test: data.Dataset) -> dict:
    """A description of the data."""
    return {
        "name": train.name,
        "split": train.split,
        "classes": train.class_names,
        "images": train.are_images,
        "num_train": len(train),
        "num_test": len(test),
        "fingerprint": train.fingerprint(),
    }


def describe_network(
    network: StudiedNetwork, examples: coreset.Examples, test: data.Dataset
) -> dict:
    """A description of the network."""
    return {
        **network.origin,
        "train_accuracy": (examples.logits.argmax(axis=1) == examples.labels).mean(),
        "test_accuracy": training.evaluate(network.view, test).accuracy,
    }


def redraw(folder: Path) -> None:
    """Draws the figures and prints the table from the files of an earlier run."""
    summary, sheet = read_selection(folder)
    draw_outputs(folder, summary, sheet)
    print_table(folder, summary)
