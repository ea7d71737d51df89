"""The figure of runs that are followed over epochs: what training does to the spectrum."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from analysis.common.figures import STYLE
from analysis.spectrum.accuracy import flagged_bins
from analysis.spectrum.figures import draw_line, scale_changes
from analysis.spectrum.followed import Followed
from ntk_aug.spectrum import summarize_study
from ntk_aug.spectrum.bins import bin_means
from ntk_aug.spectrum.summary import MeanAndSpread


def draw_epochs(runs: Sequence[Followed]) -> Figure:
    """A column for each run, a line for each epoch.

    Rows: the singular values on plain images, the relative change by each augmentation, and the
    share of the labels along each bin's left singular vectors.
    """
    first = runs[0].studies[0]
    augmentations = first.settings.augmentations
    bins = np.arange(1, first.num_bins + 1)
    epochs = sorted({epoch for run in runs for epoch in run.epochs})
    # From dark to light, also in grey print; the lightest colours would not show on white.
    colors = dict(zip(epochs, colormaps["viridis"](np.linspace(0, 0.85, len(epochs))), strict=True))
    num_rows = 2 + len(augmentations)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(1.2 + 2.9 * len(runs), 0.9 + 1.9 * num_rows), layout="constrained")
        grid = figure.subplots(num_rows, len(runs), sharex=True, sharey="row", squeeze=False)
        for column, run in zip(grid.T, runs, strict=True):
            column[0].set_title(run.title, fontsize=9)
            column[-1].set_xlabel(f"bin of {first.bin_sizes[0]} singular values (1 = largest)")
            for epoch, study in zip(run.epochs, run.studies, strict=True):
                color = colors[epoch]
                plain = bin_means(study.uncertain[0].astype(float), study.bins) > 0
                values = _exact(bin_means(study.values[0], study.bins))
                draw_line(column[0], bins, values, color, hollow=plain)
                for a, item in enumerate(summarize_study(study)):
                    change, uncertain = item.bins["relative_difference"], flagged_bins(study, a)
                    draw_line(column[1 + a], bins, change, color, scale=100, hollow=uncertain)
                shares = bin_means(study.label_shares[0], study.bins) * study.bin_sizes
                draw_line(column[-1], bins, _exact(shares), color, scale=100)
        settings = first.settings
        even = first.bin_sizes / (settings.num_examples * settings.outputs_per_example)
        for axes in grid[-1]:
            axes.plot(bins, 100 * even, "--", color="grey", linewidth=1)
        for axes in grid[1:-1].flat:
            axes.axhline(0, color="black", linewidth=0.8)
            scale_changes(axes)
        for axes in grid[[0, -1]].flat:
            axes.set_yscale("log")
        names = [f"{name}:\nrelative difference (%)" for name in augmentations]
        labels = ("mean singular value", *names, "share of the labels (%)")
        for axes, label in zip(grid[:, 0], labels, strict=True):
            axes.set_ylabel(label)
        for epoch, color in colors.items():
            grid[0, 0].plot([], [], "o-", color=color, markersize=3, label=f"epoch {epoch}")
        grid[0, 0].plot([], [], "--", color="grey", linewidth=1, label="labels spread evenly")
        if any(study.uncertain_share.any() for run in runs for study in run.studies):
            hollow = {"color": "grey", "markersize": 3, "markerfacecolor": "white"}
            grid[0, 0].plot([], [], "o", label="uncertain values", **hollow)
        figure.legend(loc="outside lower center", ncols=6)
    return figure


def _exact(values: np.ndarray) -> MeanAndSpread:
    return MeanAndSpread(values, np.full_like(values, np.nan))
