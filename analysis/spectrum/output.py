"""Output of the spectrum command: files, figures, report and table."""

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from analysis.common.figures import save_figure
from analysis.spectrum.accuracy import accuracy_sentence, flagged_bins
from analysis.spectrum.figure_of_epochs import draw_epochs
from analysis.spectrum.figures import draw_augmentation, draw_overview, file_name
from analysis.spectrum.followed import followed_runs, summarised_parts
from analysis.spectrum.report import report_html
from analysis.spectrum.table import MARK_NOTE, TABLE_COLUMNS, agreement_sentence, table_rows
from ntk_aug import records, spectrum
from ntk_aug.errors import BrokenFileError


def write_study(folder: Path, study: spectrum.SpectrumStudy, summary: Mapping) -> None:
    """Writes spectrum.npz and summary.json, from which figures, report and table are drawn."""
    study.save(folder / "spectrum.npz")
    records.write_json(folder / "summary.json", summary)


_NEEDED = ("options", "data", "networks", "augmentations", "accuracy", "environment", "seconds")


def read_study(folder: Path) -> tuple[spectrum.SpectrumStudy, dict]:
    """Reads what `write_study` wrote.

    Raises:
      InputError: a file is missing or of a later version.
      BrokenFileError: a file is broken, or they do not belong together.
    """
    study = spectrum.SpectrumStudy.load(folder / "spectrum.npz")
    summary = records.read_json(folder / "summary.json")
    parts = [summary.get(name) for name in _NEEDED] if isinstance(summary, dict) else [None]
    networks = summary["networks"] if None not in parts else ()
    if len(networks) != len(study.values):
        raise BrokenFileError(f"{folder / 'summary.json'} does not belong to its spectrum.npz")
    return study, summary


def draw_outputs(folder: Path, study: spectrum.SpectrumStudy, summary: Mapping) -> None:
    """Draws the figures (PNG and PDF) and the report that stands alone."""
    runs = followed_runs(study, summary)
    if runs:
        figures = {"epochs": draw_epochs(runs)}
    else:
        figures = {"overview": draw_overview(study)}
        for item in spectrum.summarize_study(study):
            figures[file_name(item.name)] = draw_augmentation(study, item)
    for name, figure in figures.items():
        save_figure(figure, folder / "figures" / name)
    with records.replacing(folder / "report.html") as temporary:
        images = [folder / "figures" / f"{name}.png" for name in figures]
        temporary.write_text(report_html(study, summary, images), encoding="utf-8")


def print_table(study: spectrum.SpectrumStudy, summary: Mapping) -> None:
    """Prints a line on data and networks, and the table."""
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
    parts = summarised_parts(study, summary)
    for name, part in parts:
        for row in table_rows(part, name):
            table.add_row(*row)
    # As wide as its cells, even where that is wider than a terminal: no number is cut short.
    Console(width=Console(width=1000).measure(table).maximum).print(table)
    if any(flagged_bins(study, a).any() for a in range(len(settings.augmentations))):
        print(MARK_NOTE)
    print(accuracy_sentence(study))
    if summary["kernel_agreement"]:
        print(agreement_sentence(summary["kernel_agreement"]))
