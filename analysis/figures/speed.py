"""F3: the share of the gain of augmenting everything, against the speed-up over it."""

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from analysis.common.figures import STYLE
from analysis.figures.curves import line_style
from analysis.recorded.families import Family
from analysis.recorded.measures import gain_shares, image_speed_ups, speed_up
from analysis.recorded.statistics import spread_of


def draw_speed_ups(family: Family) -> Figure | None:
    """Draws a marker per method: by images processed, and by seconds if the methods were timed.

    Args:
      family: with runs of none, of all, and of methods that augment a subset.
    """
    none, everything = family.none, family.all
    if none is None or everything is None or not family.subsets:
        return None
    if not gain_shares(everything, none, everything):
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.8), layout="constrained")
        timed = any(speed_up(group, everything) is not None for group in family.subsets)
        shown = ("images", "seconds") if timed else ("images",)
        (panels,) = figure.subplots(1, len(shown), sharey=True, squeeze=False)
        for axes, by in zip(panels, shown, strict=True):
            for group in family.groups:
                if by == "images":
                    faster = spread_of(image_speed_ups(group, everything))
                else:
                    measured = speed_up(group, everything)
                    faster = measured and spread_of([measured.ratio])
                gain = spread_of(gain_shares(group, none, everything))
                if faster is None or gain is None:
                    continue
                style = line_style(family, group) | {"linestyle": "none", "markersize": 5}
                place = (faster.mean, gain.mean)
                # The size stands beside the marker.
                label = family.row(group).replace(f" {group.size}", "", 1)
                axes.errorbar(*place, yerr=gain.std, elinewidth=0.8, label=label, **style)
                axes.annotate(
                    *(group.size, place, (5, 0)),
                    textcoords="offset points",
                    fontsize=7,
                    verticalalignment="center",
                )
            for level in (0, 100):
                axes.axhline(level, color="black", linewidth=0.8, linestyle="--")
            what = "images processed" if by == "images" else "measured seconds"
            axes.set_xlabel(f"speed-up by {what}")
        panels[0].set_ylabel("share of the gain of all (%)")
        handles = dict(zip(*panels[0].get_legend_handles_labels()[::-1], strict=True))
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5)
        runs = sorted({len(group.runs) for group in family.groups})
        seeds = " to ".join(map(str, np.unique([runs[0], runs[-1]])))
        told = f"{family.title}: gains are mean and standard deviation of {seeds} seeds"
        figure.suptitle(told, fontsize=9)
    return figure
