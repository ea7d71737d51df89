"""The figure of a sweep: test accuracy of each preset, one dot per seed."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from ntk_aug.records import StrPath, replacing

# Okabe and Ito's blue and vermilion, which can be told apart with any kind of colour vision.
_DOTS, _MEAN = "#0072B2", "#D55E00"


def draw_accuracies(path: StrPath, accuracies: Mapping[str, Sequence[float]]) -> None:
    """Draws a row for each preset: dots for the seeds, and a line at their mean.

    Args:
      path: of the PNG.
      accuracies: from a preset's name to the test accuracies of its seeds, in per cent.
    """
    rows = {name: values for name, values in accuracies.items() if len(values)}
    figure = Figure(figsize=(6.4, 0.8 + 0.36 * len(rows)), dpi=150, layout="constrained")
    axes = figure.subplots()
    for row, values in enumerate(rows.values()):
        axes.plot(values, np.full(len(values), row), "o", color=_DOTS, alpha=0.6, markersize=5)
        axes.plot([np.mean(values)] * 2, [row - 0.3, row + 0.3], color=_MEAN, linewidth=2)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()
    axes.set_xlabel("test accuracy (%) of each seed, and the mean")
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
