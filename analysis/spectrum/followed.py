"""The networks of a study, and what is summarised of each: runs that are followed over epochs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ntk_aug.spectrum import SpectrumStudy


class Followed(NamedTuple):
    """A run at several epochs.

    Attributes:
      title: its method, such as "coreset 10 %".
      epochs: ascending.
      studies: of its network after each of these epochs.
    """

    title: str
    epochs: tuple[int, ...]
    studies: tuple[SpectrumStudy, ...]


def followed_runs(study: SpectrumStudy, summary: Mapping[str, Any]) -> list[Followed]:
    """The runs of a study over several epochs; empty if it is not one.

    Args:
      study: its networks are those of the summary, one run after another.
      summary: the content of summary.json.
    """
    if len(summary["options"].get("epochs") or ()) < 2:
        return []
    by_folder: dict[str, list[int]] = {}
    for place, network in enumerate(summary["networks"]):
        by_folder.setdefault(network["folder"], []).append(place)
    titles = [_method_title(summary["networks"][own[0]]) for own in by_folder.values()]
    found = []
    for title, (folder, places) in zip(titles, by_folder.items(), strict=True):
        epochs = {summary["networks"][place]["epochs_done"]: place for place in sorted(places)}
        found.append(
            Followed(
                title if titles.count(title) == 1 else f"{title} ({_last_parts(folder)})",
                tuple(sorted(epochs)),
                tuple(study.of_networks(slice(epochs[e], epochs[e] + 1)) for e in sorted(epochs)),
            )
        )
    return found


def summarised_parts(
    study: SpectrumStudy, summary: Mapping[str, Any]
) -> Sequence[tuple[str, SpectrumStudy]]:
    """What a row of the table is for: all networks together, or each epoch of a followed run."""
    return [
        (f"{run.title}, epoch {epoch}: ", of_epoch)
        for run in followed_runs(study, summary)
        for epoch, of_epoch in zip(run.epochs, run.studies, strict=True)
    ] or [("", study)]


def _method_title(network: Mapping[str, Any]) -> str:
    """Selector and size of a run, such as "coreset 10 %", "random 100" or "none"."""
    method = network["method"] or {}
    selector = method.get("selector", "none")
    if method.get("fraction") is not None and selector not in ("none", "all"):
        return f"{selector} {100 * method['fraction']:g} %"
    return f"{selector} {method.get('count') or ''}".strip()


def _last_parts(folder: str) -> str:
    return "/".join(Path(folder).parts[-2:])
