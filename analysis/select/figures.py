"""The figures of a selection: its gradient error by size, and images to look at."""

from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from analysis.common.figures import COLORS, SHEET_STYLE, STYLE, show_image
from ntk_aug import coreset, data
from ntk_aug.coreset.baselines import largest_scores

COLUMNS = 10
"""Images in a row of the sheet."""
ROWS = (
    ("largest weights", "weight"),
    ("smallest weights", "weight"),
    ("largest losses", "loss"),
)
"""What a row of the sheet shows, and the value that is under each image."""
CELL = 1.1
"""Inches of a cell's side."""


def draw_errors(summary: Mapping) -> Figure:
    """The gradient error of selections and of random subsets, at several sizes."""
    points = summary["by_size"]
    sizes = np.array([100 * point["fraction"] for point in points])
    mean, std, least, error = (
        np.array([point[name] for point in points])
        for name in ("random_mean", "random_std", "random_least", "gradient_error")
    )
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.fill_between(sizes, mean - std, mean + std, color=COLORS[7], alpha=0.3, linewidth=0)
        axes.plot(sizes, mean, "s-", color=COLORS[7], markersize=3.5, label="random, mean and std")
        subsets = summary["options"]["random_subsets"]
        axes.plot(sizes, least, ":", color=COLORS[7], label=f"random, least of {subsets}")
        selector = summary["options"]["selector"]
        axes.plot(sizes, error, "o-", color=COLORS[0], markersize=3.5, label=selector)
        axes.axhline(
            summary["gradient_norm"], color="black", linewidth=0.8, linestyle="--", label="none"
        )
        axes.set_xscale("log")
        # Linear near zero, where an error is as good as none; all through where none errs.
        floor = 1e-6 * summary["gradient_norm"]
        if min(error) > floor:
            axes.set_yscale("log")
        elif floor > 0:
            axes.set_yscale("symlog", linthresh=floor)
            axes.set_ylim(bottom=0)
        axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
        axes.minorticks_off()
        axes.set_xlabel("size of the subset (%)")
        axes.set_ylabel("gradient error")
        figure.legend(loc="outside lower center", ncols=2)
        axes.set_title(_title(summary), fontsize=9)
    return figure


def sheet_examples(
    dataset: data.Dataset, selection: coreset.Subset, losses: np.ndarray
) -> dict[str, np.ndarray]:
    """The images of the sheet, in the order of `ROWS`, and their captions.

    Returns:
      Arrays over the images: `images`, `indices` (places in the split), `labels`, `values`
      (weights or losses), `rows` (which of `ROWS`) and `selected` (whether it is).
    """
    assert selection.labels is not None  # as of everything that `coreset.select` returns
    assert selection.weights is not None
    # Of equal weights the first of each class, then the second of each.
    turns = np.empty(len(selection.indices), int)
    for number in range(dataset.num_classes):
        own = selection.labels == number
        turns[own] = np.arange(own.sum())
    heaviest = np.lexsort((turns, -selection.weights))[:COLUMNS]
    lightest = np.lexsort((turns, selection.weights))[:COLUMNS]
    worst = largest_scores(losses, min(COLUMNS, len(losses))).indices
    places = [selection.indices[heaviest], selection.indices[lightest], worst]
    values = [selection.weights[heaviest], selection.weights[lightest], losses[worst]]
    of_row = np.repeat(np.arange(len(ROWS)), [len(row) for row in places])
    shown = dataset.take(np.concatenate(places))
    return {
        "images": shown.images,
        "indices": shown.indices,
        "labels": shown.labels,
        "values": np.concatenate(values),
        "rows": of_row,
        "selected": np.isin(np.concatenate(places), selection.indices),
    }


def draw_sheet(summary: Mapping, sheet: Mapping[str, np.ndarray]) -> Figure:
    """The sheet of the paper's Figure 6: heaviest, lightest, and largest loss.

    Args:
      summary: of summary.json.
      sheet: as `sheet_examples` gives it.
    """
    images = np.asarray(data.unit_range(sheet["images"]))
    names = summary["data"]["classes"]
    with matplotlib.rc_context(SHEET_STYLE):
        size = (CELL * COLUMNS, (CELL + 0.42) * len(ROWS) + 0.3)
        figure = Figure(figsize=size, layout="constrained")
        parts = figure.subfigures(len(ROWS), squeeze=False)[:, 0]
        for number, (part, (title, value)) in enumerate(zip(parts, ROWS, strict=True)):
            part.suptitle(_row_title(title, summary), fontsize=8, x=0.01, ha="left")
            cells = part.subplots(1, COLUMNS)
            of_row = np.flatnonzero(sheet["rows"] == number)
            for axes, place in zip(cells, of_row, strict=False):
                label = names[sheet["labels"][place]]
                show_image(axes, images[place], f"{label}\n{value} {sheet['values'][place]:,.4g}")
                if value == "loss" and sheet["selected"][place]:
                    for spine in axes.spines.values():
                        spine.set(color=COLORS[1], linewidth=2)
            for axes in cells[len(of_row) :]:
                axes.set_axis_off()
        figure.suptitle(_title(summary), fontsize=9)
    return figure


def _title(summary):
    name, proxy = summary["data"]["name"], summary["options"]["proxy"]
    model = summary["network"]["model"]
    return f"{name}, {model}, {summary['options']['selector']} by {proxy} gradients"


def _row_title(title: str, summary: Mapping) -> str:
    selected, size = summary["all"]["selected"], summary["all"]["size"]
    if title == "largest losses":
        return f"{title} of all {size:,} (framed: selected)"
    return f"{title} of the {selected:,} selected"
