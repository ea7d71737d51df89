"""Every cell of the tables T1, T2, T3, T4, T6 and T7: its place, the paper's value, its runs."""

from typing import Any, NamedTuple

from analysis.paper import values
from analysis.paper.settings import RunSettings, paper_settings
from analysis.paper.values import PaperValue

SELECTORS = ("random", "max-loss", "coreset")
_NETWORKS = {
    values.CIFAR10: ("cifar10", "resnet20", None),
    values.IMB100: ("cifar10", "resnet32", 100.0),
    values.IMB10: ("cifar10", "resnet32", 10.0),
    values.SVHN: ("svhn_cropped", "resnet32", None),
}
_PER_CLASS = {"0.1 %": 5, "0.2 %": 10, "0.5 %": 25, "1 %": 50}
T4_SIZES = (5, 10, 15, 20, 25, 30)


class Cell(NamedTuple):
    """A cell of a table.

    Attributes:
      table: "T1" to "T7".
      part: the part of the table that it is shown in: a data set with its network, or a column.
      row: the row of that part.
      paper: the printed value; None if none is legible.
      settings: of its runs; None where this project has no such data set or network.
      measure: "accuracy", "never selected" or "speed-up".
      against: the row that its runs are compared with by Welch's t-test, or None.
    """

    table: str
    part: str
    row: str
    paper: PaperValue | None
    settings: RunSettings | None
    measure: str = values.ACCURACY
    against: str | None = None


def paper_cells() -> list[Cell]:
    """The cells of all tables but T5, in the paper's order."""
    return [*_t1(), *_t2(), *_t3(), *_t4(), *_t6(), *_t7()]


def _against(row: str) -> str | None:
    """The coreset's row of the same size; None of the coreset's rows themselves."""
    for selector in ("random", "max-loss"):
        if row.startswith(selector):
            return row.replace(selector, "coreset")
    return None


def _appended(part: str, row: str) -> RunSettings:
    """T1's settings of a row: the full data, and an augmented subset, R = 20."""
    data, model, imbalance = _NETWORKS[part]
    selector, _, size = row.removesuffix(" %").partition(" ")
    budget: dict[str, Any] = {"fraction": int(size) / 100} if size else {}
    method = {"selector": selector, "reselect_every": 20, **budget}
    return paper_settings(data, model, weak_every=20, imbalance=imbalance, **method)


def _t1() -> list[Cell]:
    return [
        Cell("T1", part, row, values.T1[row, part], _appended(part, row), against=_against(row))
        for part in _NETWORKS
        for row in dict.fromkeys(row for row, _ in values.T1)
    ]


def _t2() -> list[Cell]:
    cells = []
    for (row, column), printed in values.T2.items():
        size, _, part = row.partition(" of ")
        selector, _, version = column.partition(" ")
        settings = None
        if part == values.CIFAR10:
            plain: dict[str, Any] = {"augment": "none"} if version == "weak" else {}
            # The paper states no R for T2 on CIFAR; the runs of F4, which are the same, have R = 1.
            settings = paper_settings(
                *("cifar10", "resnet20"),
                selector=selector,
                count=10 * _PER_CLASS[size],
                train_on="subset",
                **plain,
            )
        row = f"{size}, {column}"
        other = f"{size}, coreset {version}" if selector == "random" else None
        cells.append(Cell("T2", part, row, printed, settings, against=other))
    return cells


def _t3() -> list[Cell]:
    return [
        Cell("T3", values.CALTECH, f"{row}, {column}", printed, None)
        for (row, column), printed in values.T3.items()
    ]


def _t4() -> list[Cell]:
    rows = [f"{selector} {size} %" for selector in SELECTORS for size in T4_SIZES]
    return [
        Cell("T4", part, row, values.T4.get((row, part)), _appended(part, row), "speed-up")
        for part in (values.CIFAR10, values.SVHN)
        for row in rows
    ]


def _t6() -> list[Cell]:
    return [Cell("T6", part, row, printed, None) for (row, part), printed in values.T6.items()]


def _t7() -> list[Cell]:
    cells = []
    for measure in (values.ACCURACY, values.NEVER):
        for row, column in values.T7:
            if column == measure:
                selector, _, size = row.removesuffix(" %").partition(" ")
                budget: dict[str, Any] = {"fraction": float(size) / 100} if size else {}
                settings = paper_settings("cifar10", "resnet20", selector=selector, **budget)
                printed, part = values.T7[row, column], f"{values.CIFAR10}: {measure}"
                cells.append(Cell("T7", part, row, printed, settings, measure, _against(row)))
    return cells
