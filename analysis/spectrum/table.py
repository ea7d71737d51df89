"""The table of a spectrum study, for the terminal and for the report."""

from collections.abc import Mapping

import numpy as np
from rich.console import JustifyMethod

from analysis.spectrum.accuracy import flagged_bins
from ntk_aug import spectrum
from ntk_aug.spectrum.accuracy import UNCERTAIN_SHARE

TABLE_COLUMNS: tuple[tuple[str, JustifyMethod], ...] = (
    ("augmentation", "left"),
    ("eps0", "right"),
    ("||E||", "right"),
    ("bound", "right"),
    ("relative change %\nbins 1 / middle / last", "right"),
    ("values that fell %\nbin 1 / others", "right"),
    ("left angle, degrees\nbins 1 / middle / last", "right"),
    ("Spearman\nall / certain bins", "right"),
    ("uncertain\nvalues %", "right"),
)
MARK = "*"
MARK_NOTE = (
    f"{MARK} a value of the bin, plain or augmented, has an estimated error above "
    f"{100 * UNCERTAIN_SHARE:g} %"
)


def table_rows(study: spectrum.SpectrumStudy, part: str = "") -> list[tuple[str, ...]]:
    """The table's cells, one row per augmentation, under `TABLE_COLUMNS`.

    Numbers of bins that hold an uncertain value of either spectrum have a `MARK`; `part` stands
    before the names.
    """
    rows: list[tuple[str, ...]] = []
    for a, item in enumerate(spectrum.summarize_study(study)):
        relative = 100 * item.bins["relative_difference"].mean
        angle = item.bins["left_angle"].mean
        flags = flagged_bins(study, a)
        rows.append(
            (
                part + item.name,
                _number(item.displacement, ".3g"),
                f"{item.perturbation_norm:.3g}",
                _number(item.perturbation_bound, ".3g"),
                _first_middle_last(relative, "+.1f", flags),
                _number(100 * item.decreased_first_bin, ".0f")
                + " / "
                + _number(100 * item.decreased_other_bins, ".0f"),
                _first_middle_last(angle, ".1f", flags),
                f"{_mean(item.spearman)} / {_mean(item.spearman_certain)}",
                _number(100 * item.uncertain, ".3g"),
            )
        )
    return rows


def agreement_sentence(agreement: Mapping) -> str:
    """A sentence on the difference between our kernels and those of neural_tangents."""
    return (
        f"kernels K, M, K~ of {agreement['num_examples']} images under "
        f"{agreement['augmentation']}, {agreement['dtype']}: neural_tangents "
        f"({agreement['implementation']}) differs from ours by at most "
        f"{agreement['largest']:.1e} of the largest entry"
    )


def _number(value, form):
    return format(value, form) if np.isfinite(value) else "-"


def _first_middle_last(values, form, flags):
    return " / ".join(
        _number(values[i], form) + MARK * bool(flags[i]) for i in (0, len(values) // 2, -1)
    )


def _mean(values):
    finite = [value for value in values if np.isfinite(value)]
    return f"{np.mean(finite):+.2f}" if finite else "-"
