"""All figures from all recorded runs."""

import itertools
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from analysis.common.figures import save_figure
from analysis.figures.curves import draw_losses, draw_over_max_loss, draw_shares
from analysis.figures.images import draw_images, indices_csv, load_images, most_selected
from analysis.figures.overlaps import draw_epoch_overlaps, draw_top_overlaps
from analysis.figures.speed import draw_speed_ups
from analysis.recorded.families import Family
from analysis.spectrum.figure_of_epochs import draw_epochs
from analysis.spectrum.figures import draw_overview
from analysis.spectrum.followed import followed_runs
from analysis.spectrum.output import read_study
from ntk_aug.errors import NtkAugError
from ntk_aug.records import replacing

TITLES = {
    "F1": "change of singular values, and angle of subspaces, per bin",
    "F2": "training loss against test accuracy",
    "F3": "share of the gain against speed-up",
    "F4": "test accuracy of training on a subset, against the share of the data",
    "F5": "overlap of the most often selected examples",
    "F6": "the most often selected examples",
    "F7a": "overlap of both selections from the same network",
    "F7bc": "accuracy over that of max-loss, and against the share selected",
    "Epochs": "singular values and the labels' alignment over training (not in the paper)",
}
"""What each figure shows."""
_OF_FAMILIES: dict[str, tuple[Callable[[Family], Figure | None], str]] = {
    "F2": (draw_losses, "no runs of none and all, evaluated more than once"),
    "F3": (draw_speed_ups, "no runs of none, of a subset and of all, with a gain by all"),
    "F4": (draw_shares, "no runs on a subset alone, evaluated more than once"),
    "F5": (draw_top_overlaps, "no runs of coreset and max-loss with recorded selections"),
    "F7a": (draw_epoch_overlaps, "no runs with --also-record of the other selector"),
    "F7bc": (draw_over_max_loss, "no runs of coreset and max-loss of the same size"),
}


class Drawn(NamedTuple):
    """What was drawn.

    Attributes:
      files: by figure, the names of the PNG and PDF files without their ending.
      missing: by figure, why it was not drawn.
      problems: a line for each record that was left out.
    """

    files: dict[str, list[str]]
    missing: dict[str, str]
    problems: list[str]


def draw_figures(
    folder: Path, families: Sequence[Family], studies: Sequence[Path], *, data_dir: str | None
) -> Drawn:
    """Draws every figure that the records allow, as PNG and PDF.

    Args:
      folder: to write into.
      families: of recorded runs.
      studies: folders of spectrum studies.
      data_dir: where prepared data sets lie; None: TFDS_DATA_DIR.
    """
    drawn = Drawn({name: [] for name in TITLES}, {}, [])
    _draw_studies(folder, studies, drawn)
    for name, (draw, _) in _OF_FAMILIES.items():
        for family in _distinct(families, name):
            figure = draw(family)
            if figure is not None:
                _save(folder, drawn, name, family.title, figure)
    _draw_examples(folder, families, data_dir, drawn)
    for name, files in drawn.files.items():
        if not files and name not in drawn.missing:
            drawn.missing[name] = _OF_FAMILIES[name][1]
    return drawn


def _distinct(families: Sequence[Family], name: str) -> list[Family]:
    """The families; for F2, one of those that share their runs of none and all."""
    if name != "F2":
        return list(families)
    return list({(id(one.none), id(one.all)): one for one in reversed(families)}.values())[::-1]


def _draw_studies(folder: Path, studies: Sequence[Path], drawn: Drawn) -> None:
    for path in studies:
        try:
            study, summary = read_study(path)
        except NtkAugError as error:
            drawn.problems.append(f"{path.name}: {error}")
            continue
        runs = followed_runs(study, summary)
        name, figure = ("Epochs", draw_epochs(runs)) if runs else ("F1", draw_overview(study))
        _save(folder, drawn, name, path.name, figure)
    if not drawn.files["F1"]:
        drawn.missing["F1"] = "no spectrum study (spectrum.npz)"
    if not drawn.files["Epochs"]:
        drawn.missing["Epochs"] = "no spectrum study over several --epochs"


def _draw_examples(
    folder: Path, families: Sequence[Family], data_dir: str | None, drawn: Drawn
) -> None:
    without_images = []
    for family in families:
        rows = most_selected(family)
        if not rows:
            continue
        stem = _free_stem([path.stem for path in folder.glob("f6-*.csv")], "F6", family.title)
        with replacing(folder / f"{stem}.csv") as temporary:
            temporary.write_text(indices_csv(rows), encoding="utf-8")
        dataset = load_images(family, data_dir)
        if dataset is None:
            without_images.append(family.name)
        elif max(row.places.max() for row in rows) >= len(dataset):
            drawn.problems.append(f"{family.title}: a selection has places beyond the data set")
        else:
            save_figure(draw_images(family, rows, dataset), folder / stem)
            drawn.files["F6"].append(stem)
    if without_images:
        names = ", ".join(dict.fromkeys(without_images))
        drawn.missing["F6"] = f"places only, the images are not at hand: {names}"
    elif not drawn.files["F6"]:
        drawn.missing["F6"] = "no runs with recorded selections"


def _save(folder: Path, drawn: Drawn, name: str, title: str, figure: Figure) -> None:
    stem = _free_stem(drawn.files[name], name, title)
    save_figure(figure, folder / stem)
    drawn.files[name].append(stem)


def _free_stem(taken: Sequence[str], name: str, title: str) -> str:
    """A file name from a title, with a number if an earlier figure has that name."""
    words = re.findall(r"[a-z0-9]+", title.lower().replace("comparison on", "").replace("r =", "r"))
    stem = "-".join([name.lower(), *words])
    numbered = (f"{stem}-{number}" for number in itertools.count(2))
    return next(one for one in itertools.chain([stem], numbered) if one not in taken)
