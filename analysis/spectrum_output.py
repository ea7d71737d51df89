"""What the spectrum command writes and prints: files, figures, report and table."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.console import Console, JustifyMethod
from rich.table import Table

from analysis.figures import save_figure
from analysis.spectrum_accuracy import accuracy_sentence, flagged_bins
from analysis.spectrum_figures import draw_augmentation, draw_overview
from analysis.spectrum_report import report_html
from ntk_aug import records, spectrum
from ntk_aug.spectrum.accuracy import UNCERTAIN_SHARE


def write_study(folder: Path, study: spectrum.SpectrumStudy, summary: Mapping) -> None:
    """Writes spectrum.npz and summary.json: all that figures, report and table are drawn from."""
    study.save(folder / "spectrum.npz")
    records.write_json(folder / "summary.json", summary)


def draw_outputs(folder: Path, study: spectrum.SpectrumStudy, summary: Mapping) -> None:
    """Draws the figures (PNG and PDF) and the report that stands alone."""
    figures = {"overview": draw_overview(study)}
    for item in spectrum.summarize_study(study):
        figures[file_name(item.name)] = draw_augmentation(study, item)
    for name, figure in figures.items():
        save_figure(figure, folder / "figures" / name)
    with records.replacing(folder / "report.html") as temporary:
        temporary.write_text(report_html(study, summary, folder / "figures"), encoding="utf-8")


def file_name(augmentation: str) -> str:
    """The name of an augmentation's figure, without its ending."""
    return augmentation.replace(":", "-").replace("/", "-")


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


def table_rows(study: spectrum.SpectrumStudy) -> list[tuple[str, ...]]:
    """The table's cells, one row per augmentation, under `TABLE_COLUMNS`.

    Numbers of bins that hold an uncertain value of either spectrum have a `MARK`.
    """
    rows: list[tuple[str, ...]] = []
    for a, item in enumerate(spectrum.summarize_study(study)):
        relative = 100 * item.bins["relative_difference"].mean
        angle = item.bins["left_angle"].mean
        flags = flagged_bins(study, a)
        rows.append(
            (
                item.name,
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


def print_table(study: spectrum.SpectrumStudy, summary: Mapping) -> None:
    """Prints the table, with what it was computed from above it."""
    settings = study.settings
    accuracies = [
        f"train {100 * n['train_accuracy']:.1f} %, test {100 * n['test_accuracy']:.1f} %"
        for n in summary["networks"]
    ]
    print(
        f"{summary['data']['name']}: {settings.num_examples} images, "
        f"{study.values.shape[1]} singular values in {study.num_bins} bins, "
        f"P = {settings.num_params:,}; accuracy " + "; ".join(accuracies)
    )
    table = Table()
    for header, justify in TABLE_COLUMNS:
        table.add_column(header, justify=justify, no_wrap=True)
    for row in table_rows(study):
        table.add_row(*row)
    # As wide as its cells, even where that is wider than a terminal: no number is cut short.
    Console(width=Console(width=1000).measure(table).maximum).print(table)
    if any(flagged_bins(study, a).any() for a in range(len(settings.augmentations))):
        print(MARK_NOTE)
    print(accuracy_sentence(study))
    if summary["kernel_agreement"]:
        print(agreement_sentence(summary["kernel_agreement"]))


def agreement_sentence(agreement: Mapping) -> str:
    """How far our kernels and those of neural_tangents are apart."""
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
