"""Networks that are shown apart: runs over several epochs, and runs of different methods."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ntk_aug.spectrum import SpectrumStudy


class Followed(NamedTuple):
    """A run at one or more epochs.

    Attributes:
      title: its method, such as "coreset 10 %", and its folder if others have that method, too.
      epochs: ascending.
      studies: of its network after each of these epochs.
    """

    title: str
    epochs: tuple[int, ...]
    studies: tuple[SpectrumStudy, ...]


def followed_runs(study: SpectrumStudy, summary: Mapping[str, Any]) -> list[Followed]:
    """The runs of a study over several epochs or of different methods; empty if it is neither.

    Networks of one method that differ in their seed alone are summarised together instead.

    Args:
      study: its networks are those of the summary, one run after another.
      summary: the content of summary.json.
    """
    networks = summary["networks"]
    epochs_of = {network.get("epochs_done") for network in networks}
    titles = {network["folder"]: _method_title(network) for network in networks}
    if len(epochs_of) == 1 and len(set(titles.values())) == 1:
        return []
    found = []
    for folder, title in titles.items():
        at = {n["epochs_done"]: i for i, n in enumerate(networks) if n["folder"] == folder}
        found.append(
            Followed(
                title if [*titles.values()].count(title) == 1 else f"{title} ({folder})",
                tuple(sorted(at)),
                tuple(study.of_networks(slice(at[e], at[e] + 1)) for e in sorted(at)),
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
    method = network.get("method") or {}
    selector = method.get("selector", "none")
    if method.get("fraction") is not None and selector not in ("none", "all"):
        return f"{selector} {100 * method['fraction']:g} %"
    return f"{selector} {method.get('count') or ''}".strip()
