"""F2, F4 and F7 (b, c): accuracies over the epochs of runs."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from analysis.common.figures import COLORS, STYLE
from analysis.recorded.families import Family
from analysis.recorded.groups import Group
from analysis.recorded.measures import pairs_by_seed
from analysis.recorded.reading import Run

_OF_SELECTOR = {
    "none": (COLORS[6], "D"),
    "random": (COLORS[7], "s"),
    "max-loss": (COLORS[1], "^"),
    "coreset": (COLORS[0], "o"),
    "all": (COLORS[2], "v"),
}
_LINES = ("-", "--", ":", "-.")
MARKER_SIZE = 3.5


def line_style(family: Family, group: Group) -> dict[str, Any]:
    """Colour and marker by selector, line by size; hollow markers without strong augmentation."""
    selector = group.settings["method.selector"]
    color, marker = _OF_SELECTOR.get(selector, (COLORS[3], "P"))
    sizes = sorted({other.settings["method.budget"] or 0 for other in family.groups} - {0})
    budget = group.settings["method.budget"]
    line = _LINES[sizes.index(budget) % len(_LINES)] if budget else "-"
    style = {"color": color, "marker": marker, "linestyle": line, "markersize": MARKER_SIZE}
    if family.trains_on_subset and not group.settings["method.augments"]:
        style["markerfacecolor"] = "white"
    return style


def evaluated_epochs(runs: Sequence[Run]) -> list[int]:
    """The epochs, from 1, after which all runs were evaluated."""
    known = [{r.epoch for r in run.history if r.test_accuracy is not None} for run in runs]
    return sorted(set.intersection(*known))


def at_epochs(runs: Sequence[Run], epochs: Sequence[int], name: str) -> np.ndarray:
    """A field of the epochs' records, [runs, epochs]; accuracies are in per cent.

    Args:
      runs: of one group.
      epochs: from 1.
      name: of the field.
    """
    values = [[getattr(run.history[epoch - 1], name) for epoch in epochs] for run in runs]
    return np.array(values, float) * (100 if name.endswith("accuracy") else 1)


def draw_losses(family: Family) -> Figure | None:
    """F2: test accuracy against training loss, of no and of all augmentation."""
    groups = [group for group in (family.none, family.all) if group is not None]
    if len(groups) < 2 or not all(_has_curve(group) for group in groups):
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 3.6), layout="constrained")
        axes = figure.subplots()
        for group in groups:
            epochs = evaluated_epochs(group.runs)
            loss = at_epochs(group.runs, epochs, "train_loss").mean(axis=0)
            accuracy = at_epochs(group.runs, epochs, "test_accuracy").mean(axis=0)
            axes.plot(loss, accuracy, label=family.row(group), **line_style(family, group))
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("training loss of an epoch")
        axes.set_ylabel("test accuracy (%)")
        axes.set_title(f"{family.name}: a marker per evaluated epoch, mean of seeds", fontsize=9)
        axes.legend()
    return figure


def draw_shares(family: Family) -> Figure | None:
    """F4: test accuracy of training on a subset, against the share of the data seen so far."""
    if not family.trains_on_subset or not any(map(_has_curve, family.subsets)):
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.4, 3.8), layout="constrained")
        axes = figure.subplots()
        _plot_shares(axes, family)
        axes.set_title(f"{family.name}: training on the subset alone", fontsize=9)
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def draw_over_max_loss(family: Family) -> Figure | None:
    """F7 b and c: accuracy over that of max-loss by epoch, and against the share selected."""
    pairs = same_sizes(family)
    if family.trains_on_subset or not any(_has_curve(group) for group, _ in pairs):
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.6), layout="constrained")
        over, share = figure.subplots(1, 2)
        for group, other in pairs:
            own, others = zip(*pairs_by_seed(group, other), strict=True)
            epochs = evaluated_epochs([*own, *others])
            first, second = (at_epochs(runs, epochs, "test_accuracy") for runs in (own, others))
            mean = (first - second).mean(axis=0)
            std = (first - second).std(axis=0, ddof=1) if len(first) > 1 else np.zeros_like(mean)
            style = line_style(family, group)
            over.plot(epochs, mean, label=group.size, **style)
            over.fill_between(
                epochs, mean - std, mean + std, color=style["color"], alpha=0.2, linewidth=0
            )
        over.axhline(0, color="black", linewidth=0.8)
        over.xaxis.set_major_locator(MaxNLocator(integer=True))
        over.set_xlabel("epoch")
        over.set_ylabel("accuracy, coreset - max-loss (%)")
        over.legend(title="mean and std of seeds", fontsize=8)
        _plot_shares(share, family)
        share.legend()
        figure.suptitle(family.title, fontsize=9)
    return figure


def same_sizes(family: Family) -> list[tuple[Group, Group]]:
    """Pairs of a coreset and a max-loss group of the same size, with a seed in common."""
    found = []
    for group in family.of("coreset"):
        for other in family.of("max-loss"):
            names = ("method.budget", "method.augments", "method.placement")
            same = all(group.settings.get(n) == other.settings.get(n) for n in names)
            if same and any(pairs_by_seed(group, other)):
                found.append((group, other))
    return found


def _has_curve(group: Group) -> bool:
    return len(evaluated_epochs(group.runs)) > 1


def _plot_shares(axes: Axes, family: Family) -> None:
    """Accuracy against the share of the data that was selected so far, a marker per epoch."""
    for group in filter(_has_curve, family.subsets):
        epochs = evaluated_epochs(group.runs)
        selected = at_epochs(group.runs, epochs, "distinct_selected").mean(axis=0)
        accuracy = at_epochs(group.runs, epochs, "test_accuracy").mean(axis=0)
        share = 100 * selected / group.runs[0].num_examples
        axes.plot(share, accuracy, label=family.row(group), **line_style(family, group))
    axes.set_xlabel("different examples selected so far (%)")
    axes.set_ylabel("test accuracy (%)")
