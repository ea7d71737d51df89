"""The figures of the theory command, from theory.json and theory.npz alone."""

from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.common.figures import COLORS, STYLE

LINES = {
    "measured": (COLORS[6], "-"),
    "printed": (COLORS[1], "--"),
    "corrected": (COLORS[0], "-"),
    "b": (COLORS[5], "-"),
    "c": (COLORS[2], "-."),
    "d": (COLORS[4], ":"),
}
"""Colour and dash of each curve, the same in all figures."""


def draw_figures(summary: Mapping, arrays: Mapping[str, np.ndarray]) -> dict[str, Figure]:
    """The figures of the results that exist, by file name."""
    statements, network = summary["statements"], summary["network"] or {}
    figures = {}
    with matplotlib.rc_context(STYLE):
        if "B.1" in statements:
            figures["theorem-b-1"] = _draw_model(statements["B.1"])
        if "5.2" in statements:
            figures["theorem-5-2"] = _draw_descent(statements["5.2"])
        if network.get("shifts"):
            figures["lemma-4-1-network"] = _draw_shifts(list(network["shifts"]), arrays)
        if network.get("dynamics"):
            figures["theorem-b-1-network"] = _draw_dynamics(list(network["dynamics"]), arrays)
        if network.get("coreset_spectra"):
            figures["lemma-b-3-network"] = _draw_coreset(arrays)
    return figures


def _panels(count: int, width: float = 4.2) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width * count, 3.4), layout="constrained")
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


def _line(axes, x, values, style, label):
    color, dash = LINES[style]
    axes.plot(x, np.array(values, float), dash, color=color, label=label, linewidth=1.4)


def _draw_model(found: Mapping) -> Figure:
    """Theorem B.1 at its second counterexample: the error, the printed bound, (a) to (d)."""
    example = next(one for one in found["counterexamples"] if one["name"] == "b1_two_rows")
    bounds = example["sides"]["corrected"]
    steps = range(len(bounds["corrected"]["lhs"]))
    figure, (axes,) = _panels(1, width=5.2)
    _line(axes, steps, bounds["corrected"]["lhs"], "measured", "measured (exact)")
    _line(axes, steps, example["sides"]["printed"]["rhs"], "printed", "printed, Eq. (45)")
    _line(axes, steps, bounds["corrected"]["rhs"], "corrected", "(a) exact factors")
    for name, text in (("b", "(b) chord"), ("c", "(c) no law"), ("d", "(d) no gaps")):
        _line(axes, steps, bounds[name]["rhs"], name, text)
    axes.set_yscale("log")
    axes.set_xlabel("steps t")
    axes.set_ylabel("E ||y - f(X_aug, W$^t$)||")
    axes.set_title("Theorem B.1: X = diag(2, 1), $\\delta$ uniform in ±1/4", fontsize=9)
    axes.legend(fontsize=7)
    return figure


def _draw_descent(found: Mapping) -> Figure:
    """Theorem 5.2 at both counterexamples."""
    titles = {
        "t52_prefactor": "a factor $\\sqrt{2\\Lambda}$ is missing",
        "t52_step_size": "the printed step size does not converge",
    }
    figure, panels = _panels(2)
    for axes, (name, title) in zip(panels, titles.items(), strict=True):
        (sides,) = (one["sides"] for one in found["counterexamples"] if one["name"] == name)
        steps = range(len(sides["printed"]["lhs"]))
        color, _ = LINES["measured"]
        axes.plot(steps, sides["printed"]["lhs"], ":", color=color, label="exact, printed step")
        _line(axes, steps, sides["printed"]["rhs"], "printed", "printed, Eq. (43)")
        # Wide and light: where the bound is attained, one line lies on the other.
        measured = np.array(sides["corrected"]["corrected"]["lhs"], float)
        axes.plot(
            steps, measured, color=color, alpha=0.35, linewidth=4, label="exact, half the step"
        )
        _line(axes, steps, sides["corrected"]["corrected"]["rhs"], "corrected", "corrected")
        axes.set_yscale("log")
        axes.set_xlabel("steps t")
        axes.set_title(f"Theorem 5.2: {title}", fontsize=9)
    panels[0].set_ylabel("E ||grad L(W$^t$)||")
    panels[1].legend(fontsize=7, loc="lower left")
    return figure


def _draw_shifts(names: list[str], arrays: Mapping[str, np.ndarray]) -> Figure:
    """The law of Lemma 4.1 beside the measured one."""
    figure, panels = _panels(len(names))
    for place, (axes, name) in enumerate(zip(panels, names, strict=True)):
        delta = arrays[f"shifts/{place}/relative"]
        edges = np.linspace(-1, 1, 81).tolist()
        axes.hist(delta.ravel(), edges, density=True, color=COLORS[0], alpha=0.8, label="measured")
        p = float((delta < 0).mean())
        axes.step(
            [-1, -1, 0, 1, 1],
            [0, p, 1 - p, 1 - p, 0],
            where="post",
            color=COLORS[1],
            linestyle="--",
            label="the law of Lemma 4.1",
        )
        axes.set_yscale("log")
        axes.set_xlabel("$\\delta_i$ / ||E||")
        axes.set_title(f"{name}: {100 * p:.0f} % decrease", fontsize=9)
    panels[0].set_ylabel("density")
    panels[0].legend(fontsize=7)
    return figure


def _draw_dynamics(names: list[str], arrays: Mapping[str, np.ndarray]) -> Figure:
    """Theorem B.1 on the network: linearised, real, printed, (c) and (d)."""
    figure, panels = _panels(len(names))
    for place, (axes, name) in enumerate(zip(panels, names, strict=True)):
        part = {
            field: arrays[f"dynamics/{place}/{field}"]
            for field in ("times", "linearized", "network", "printed", "bound_c", "bound_d")
        }
        times = part["times"]
        axes.plot(
            times,
            part["linearized"].mean(axis=0),
            color=COLORS[6],
            alpha=0.35,
            linewidth=4,
            label="linearised network",
        )
        _line(axes, times, part["network"].mean(axis=0), "measured", "network")
        _line(axes, times, part["printed"], "printed", "printed, Eq. (45)")
        _line(axes, times, part["bound_c"], "c", "(c)")
        _line(axes, times, part["bound_d"], "d", "(d) no gaps")
        axes.set_xscale("symlog", linthresh=1)
        axes.set_yscale("log")
        axes.set_xlabel("steps t")
        axes.set_title(name, fontsize=9)
    panels[0].set_ylabel("||y - f(X_aug, W$^t$)||")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


def _draw_coreset(arrays: Mapping[str, np.ndarray]) -> Figure:
    """Singular values of the coreset's Jacobian beside those of random subsets and of all."""
    figure, (axes,) = _panels(1, width=5.2)
    random = arrays["coreset/random"]
    share = np.arange(1, random.shape[1] + 1) / random.shape[1]
    axes.fill_between(
        share,
        random.min(axis=0),
        random.max(axis=0),
        color=COLORS[7],
        alpha=0.5,
        linewidth=0,
        label=f"{len(random)} random subsets, range",
    )
    axes.plot(share, arrays["coreset/coreset"], color=COLORS[0], label="coreset")
    axes.plot(share, arrays["coreset/weighted"], ":", color=COLORS[2], label="coreset, weighted")
    everything = arrays["coreset/everything"]
    axes.plot(
        np.arange(1, len(everything) + 1) / len(everything),
        everything,
        "--",
        color=COLORS[6],
        label="all images",
        linewidth=1,
    )
    axes.set_yscale("log")
    axes.set_xlabel("rank / number of values")
    axes.set_ylabel("singular value")
    axes.set_title("Jacobians of subsets at the same weights", fontsize=9)
    axes.legend(fontsize=7)
    return figure
