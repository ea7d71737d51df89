"""The figures of the spectrum study, in the form of the paper's Figure 1."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.common.figures import COLORS, STYLE
from analysis.spectrum.accuracy import flagged_bins
from ntk_aug.spectrum import SpectrumStudy, summarize_study
from ntk_aug.spectrum.summary import AugmentationSummary, MeanAndSpread


def draw_augmentation(study: SpectrumStudy, item: AugmentationSummary) -> Figure:
    """One augmentation: change of singular values and angle of subspaces, per bin."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(10.5, 3.2), layout="constrained")
        absolute, relative, angle = figure.subplots(1, 3)
        bins = _bin_numbers(study)
        draw_line(absolute, bins, item.bins["difference"], COLORS[0])
        absolute.set_ylabel("mean difference of singular values")
        draw_line(relative, bins, item.bins["relative_difference"], COLORS[0], scale=100)
        relative.set_ylabel("relative difference (%)")
        for axes in (absolute, relative):
            axes.axhline(0, color="black", linewidth=0.8)
        draw_line(angle, bins, item.bins["left_angle"], COLORS[0], label="left (outputs)")
        draw_line(angle, bins, item.bins["right_angle"], COLORS[1], label="right (weights)")
        angle.plot(bins, study.left_baseline, "--", color=COLORS[0], linewidth=1)
        angle.plot(bins, study.right_baseline, "--", color=COLORS[1], linewidth=1)
        angle.plot([], [], "--", color="grey", linewidth=1, label="random subspaces")
        _angle_axis(angle)
        angle.legend(loc="lower right")
        _bin_axes(
            (absolute, relative, angle),
            study,
            flagged_bins(study, study.settings.augmentations.index(item.name)),
        )
        figure.suptitle(f"{item.name}: {_spread_note(study)}", fontsize=9)
    return figure


def draw_overview(study: SpectrumStudy) -> Figure:
    """All augmentations in one figure: relative difference, and left subspace angle."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.2, 3.6), layout="constrained")
        relative, angle = figure.subplots(1, 2)
        bins = _bin_numbers(study)
        uncertain = np.zeros(study.num_bins, bool)
        for number, item in enumerate(summarize_study(study)):
            color = COLORS[number % len(COLORS)]
            own = flagged_bins(study, number)
            uncertain |= own
            draw_line(
                relative, bins, item.bins["relative_difference"], color, scale=100, hollow=own
            )
            draw_line(angle, bins, item.bins["left_angle"], color, label=item.name, hollow=own)
        relative.axhline(0, color="black", linewidth=0.8)
        scale_changes(relative)
        relative.set_ylabel("relative difference of singular values (%)")
        angle.plot(bins, study.left_baseline, "--", color="grey", label="random subspaces")
        _angle_axis(angle)
        _bin_axes((relative, angle), study, uncertain)
        if uncertain.any():
            angle.plot([], [], "o", color="grey", markerfacecolor="white", label="uncertain values")
        figure.legend(loc="outside lower center", ncols=4)
    return figure


def draw_line(
    axes: Axes,
    bins: np.ndarray,
    values: MeanAndSpread,
    color: Any,
    *,
    scale: float = 1.0,
    label: str | None = None,
    hollow: np.ndarray | None = None,
) -> None:
    """Draws a line with its spread; `hollow` marks the bins with uncertain values."""
    mean, std = scale * values.mean, scale * values.std
    axes.plot(bins, mean, "o-", color=color, markersize=2.5, linewidth=1.2, label=label)
    if hollow is not None and hollow.any():
        axes.plot(
            bins[hollow],
            mean[hollow],
            "o",
            color=color,
            markersize=3.5,
            markerfacecolor="white",
            zorder=3,
        )
    if np.isfinite(std).any():
        axes.fill_between(bins, mean - std, mean + std, color=color, alpha=0.2, linewidth=0)


def scale_changes(axes: Axes) -> None:
    """Scales an axis in per cent linearly up to 1 %, logarithmically beyond: all changes show."""
    axes.set_yscale("symlog", linthresh=1)
    axes.yaxis.set_major_formatter("{x:g}")


def _angle_axis(axes: Axes) -> None:
    axes.set_ylim(-2, 92)
    axes.set_yticks(range(0, 91, 15))
    axes.set_ylabel("mean principal angle (degrees)")


def _bin_axes(all_axes: Sequence[Axes], study: SpectrumStudy, uncertain: np.ndarray) -> None:
    """Labels the axis of bins, and shades bins with uncertain values."""
    for axes in all_axes:
        axes.set_xlabel(f"bin of {study.bin_sizes[0]} singular values (1 = largest)")
        axes.set_xlim(0.5, study.num_bins + 0.5)
        # Bins with a value, plain or augmented, whose estimated error is a tenth of itself.
        for number in 1 + np.flatnonzero(uncertain):
            axes.axvspan(number - 0.5, number + 0.5, color="black", alpha=0.1, linewidth=0)


def _bin_numbers(study: SpectrumStudy) -> np.ndarray:
    return np.arange(1, study.num_bins + 1)


def _spread_note(study: SpectrumStudy) -> str:
    networks, _, draws = study.perturbation_norm.shape
    return f"mean and standard deviation over {networks} networks x {draws} draws"


def file_name(augmentation: str) -> str:
    """The file name of an augmentation's figure, without its ending."""
    return augmentation.replace(":", "-").replace("/", "-")
