"""F5 and F7 (a): what the coreset and max-loss select alike."""

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.common.figures import COLORS, STYLE
from analysis.figures.curves import line_style, same_sizes
from analysis.recorded.families import Family
from analysis.recorded.measures import recorded_overlaps, top_overlaps

_POINTS = 25


def draw_top_overlaps(family: Family) -> Figure | None:
    """F5: overlap of the N most often selected examples of both, as N grows."""
    curves = []
    for group, other in same_sizes(family):
        n, budget = group.runs[0].num_examples, group.settings["method.budget"]
        tops = np.unique(np.geomspace(max(1, budget / 10), n, _POINTS).round().astype(int))
        overlaps = top_overlaps(group, other, [int(top) for top in tops])
        if len(overlaps):
            curves.append((group, 100 * tops / n, 100 * overlaps))
    if not curves:
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.8, 3.6), layout="constrained")
        axes = figure.subplots()
        for group, shares, overlaps in curves:
            axes.plot(shares, overlaps.mean(axis=0), label=group.size, **line_style(family, group))
        axes.plot(shares, shares, "--", color=COLORS[7], linewidth=1, label="by chance")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("N most often selected, as a share of the data (%)")
        axes.set_ylabel("expected overlap (%)")
        axes.set_title(f"{family.title}: coreset and max-loss", fontsize=9)
        axes.legend()
    return figure


def draw_epoch_overlaps(family: Family) -> Figure | None:
    """F7 a: overlap of both selections from the same network, by epoch; mean of the seeds."""
    curves = []
    for selector, other in (("coreset", "max-loss"), ("max-loss", "coreset")):
        for group in family.of(selector):
            runs = [found for run in group.runs if (found := recorded_overlaps(run, other))]
            epochs = sorted(set.intersection(*map(set, runs))) if runs else []
            if epochs:
                mean = np.mean([[100 * run[epoch] for epoch in epochs] for run in runs], axis=0)
                curves.append((group, epochs, mean))
    if not curves:
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.8, 3.6), layout="constrained")
        axes = figure.subplots()
        for group, epochs, mean in curves:
            label = f"network trained with {group.label}"
            axes.plot(epochs, mean, label=label, **line_style(family, group))
            chance = 100 * group.settings["method.budget"] / group.runs[0].num_examples
            axes.axhline(chance, color=COLORS[7], linestyle="--", linewidth=1)
        axes.plot([], [], "--", color=COLORS[7], label="by chance")
        axes.set_ylim(0, 100)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epochs done at the selection")
        axes.set_ylabel("overlap of coreset and max-loss (%)")
        axes.set_title(family.title, fontsize=9)
        axes.legend()
    return figure
