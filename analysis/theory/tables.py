"""The tables of the theory command, from theory.json."""

from collections.abc import Mapping

COLUMNS = (
    "statement",
    "status",
    "printed:\nholds in",
    "worst ratio\nrandom / constructed",
    "corrected:\nholds in",
    "worst ratio\n(random)",
    "tightest\nratio",
)
LEGEND = (
    "ratio: left side / right side, at most 1 where the statement holds (of an equality the larger "
    "of both quotients)"
)
NETWORK_COLUMNS = ("statement", "augmentation", "printed", "corrected", "other corrected bounds")


def statement_rows(summary: Mapping) -> list[tuple[str, ...]]:
    """The cells of the table of statements, under `COLUMNS`."""
    rows: list[tuple[str, ...]] = []
    for number, found in summary["statements"].items():
        printed, corrected = found["printed_form"], found["corrected_form"]
        rows.append(
            (
                number,
                found["status"],
                _held(printed),
                _worst(printed),
                _held(corrected),
                number_text(corrected["worst"]),
                number_text(found["tightest"]),
            )
        )
    return rows


def network_rows(summary: Mapping) -> list[tuple[str, ...]]:
    """The cells of the table of ratios on the network, under `NETWORK_COLUMNS`."""
    rows: list[tuple[str, ...]] = []
    if summary["network"] is None:
        return rows
    for name, statements in summary["network"]["tightness"].items():
        for label, found in statements.items():
            printed, (main, *others) = found["printed"], found["corrected"].items()
            rows.append(
                (
                    label,
                    name,
                    "-" if printed is None else _ratio(printed),
                    _ratio(main[1]),
                    ", ".join(f"{bound} {_ratio(one)}" for bound, one in others),
                )
            )
    return rows


def number_text(value: float | str | None) -> str:
    """A number as text: "0.988", "1.23e+05", or "-" if unknown."""
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.3g}"


def network_sentence(network: Mapping) -> str:
    """A sentence on the network."""
    constants = "certified" if network.get("certified") else "of these pairs of images alone"
    return (
        f"network: {network['origin']['model']} on {network['data']}, "
        f"{100 * network['test_accuracy']:.1f} % of the test images, "
        f"{network['n']} images, coreset of {network['k']}; Lipschitz constants {constants}"
    )


def _ratio(found):
    return number_text(found["ratio"]) + ("" if found["holds"] else " (violated)")


def _held(tally):
    return "-" if tally is None else f"{tally['held']} of {tally['instances']}"


def _worst(tally):
    if tally is None:
        return "-"
    return " / ".join(number_text(tally[name]) for name in ("worst", "worst_constructed"))
