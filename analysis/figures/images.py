"""F6: the examples that a method selected most often."""

import csv
import io
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from analysis.common.figures import SHEET_STYLE, show_image
from analysis.recorded.families import Family
from analysis.recorded.measures import times_selected
from ntk_aug import data
from ntk_aug.errors import NtkAugError

SHOWN = 10
"""Examples of each method."""
CELL = 0.9
"""Inches of a cell's side."""


class MostSelected(NamedTuple):
    """The most often selected examples of a method, over all seeds.

    Attributes:
      row: name of the method.
      places: in the training split; of equal counts the lower place comes first.
      counts: how often each was selected.
      selections: how many there were.
    """

    row: str
    places: np.ndarray
    counts: np.ndarray
    selections: int


def most_selected(family: Family) -> list[MostSelected]:
    """Counts the selections of each method of a family that does not select at random."""
    found = []
    for group in family.subsets:
        runs = [run for run in group.runs if run.selections]
        if not runs or group.settings["method.selector"] in ("random", "given"):
            continue
        chosen, times = map(np.concatenate, zip(*map(times_selected, runs), strict=True))
        places, seed_of = np.unique(chosen, return_inverse=True)
        total = np.bincount(seed_of, weights=times).astype(int)
        most = np.argsort(-total, kind="stable")[:SHOWN]
        selections = sum(len(run.selections) for run in runs)
        found.append(MostSelected(family.row(group), places[most], total[most], selections))
    return found


def indices_csv(rows: list[MostSelected]) -> str:
    """The examples as CSV: method, place in the training split, times selected, selections."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("method", "place", "times_selected", "selections"))
    for row in rows:
        for place, count in zip(row.places, row.counts, strict=True):
            writer.writerow((row.row, int(place), int(count), row.selections))
    return text.getvalue()


def load_images(family: Family, data_dir: str | None) -> data.Dataset | None:
    """The data set that a family selected from; None if it is not at hand, or is another copy.

    Args:
      family: of runs on a named data set.
      data_dir: where prepared data sets lie; None: TFDS_DATA_DIR.
    """
    recorded = family.groups[0].runs[0].config["data"]
    try:
        dataset = data.load_dataset(recorded["name"], "train", data_dir=data_dir)
    except NtkAugError:
        return None
    if not dataset.are_images or dataset.fingerprint() != recorded["fingerprint"]:
        return None
    return dataset


def draw_images(family: Family, rows: list[MostSelected], dataset: data.Dataset) -> Figure:
    """A row of images for each method, with label and times selected.

    Args:
      family: of the methods.
      rows: as `most_selected` gives them.
      dataset: as `load_images` gives it.
    """
    with matplotlib.rc_context(SHEET_STYLE):
        size = (CELL * SHOWN, (CELL + 0.42) * len(rows) + 0.3)
        figure = Figure(figsize=size, layout="constrained")
        parts = figure.subfigures(len(rows), squeeze=False)[:, 0]
        for part, row in zip(parts, rows, strict=True):
            title = f"{row.row}: most often selected in {row.selections} selections"
            part.suptitle(title, fontsize=8, x=0.01, ha="left")
            cells = part.subplots(1, SHOWN)
            images = dataset.images[row.places]  # type: ignore[index]  # an array, as checked
            images = images / 255 if images.dtype == np.uint8 else images
            for axes, image, place, count in zip(
                cells, images, row.places, row.counts, strict=False
            ):
                label = dataset.class_names[dataset.labels[place]]
                show_image(axes, image, f"{label}\n{count} times")
        figure.suptitle(family.title, fontsize=9)
    return figure
