"""Methods that were compared: groups whose data, network and training are the same."""

from collections.abc import Sequence
from typing import NamedTuple

from analysis.recorded.groups import Group, told_apart
from ntk_aug import records

_OF_EACH = ("method.selector", "method.budget", "method.placement")
_OF_STRONG = (
    *("method.augment", "method.augments", "method.draws", "method.strong_every"),
    *("method.candidates", "method.keep", "method.candidate_selection"),
)


class Family(NamedTuple):
    """Methods on the same data, with the same network and training.

    Attributes:
      table: of the paper that compares such methods: "T1", "T2", "T3" or "T7".
      title: "comparison on digits, mlp, R = 5", and what tells it from others.
      subsets: groups that select a part of the data.
      none: the group without augmentation, if it was run.
      all: the group with everything augmented, if it was run.
    """

    table: str
    title: str
    subsets: tuple[Group, ...]
    none: Group | None
    all: Group | None

    @property
    def groups(self) -> list[Group]:
        """All of them, in the order of the paper's tables."""
        return [group for group in (self.none, *self.subsets, self.all) if group is not None]

    @property
    def name(self) -> str:
        """Data and network, such as "digits, mlp"."""
        return _name_of(self.groups[0])

    @property
    def trains_on_subset(self) -> bool:
        """Whether the subsets alone are trained on."""
        return any(group.settings["method.train_on"] == "subset" for group in self.subsets)

    def of(self, selector: str) -> list[Group]:
        """The groups of a selector."""
        return [group for group in self.subsets if group.settings["method.selector"] == selector]

    def row(self, group: Group) -> str:
        """The name of a group in its family, which no other group has."""
        row = self._row(group)
        same = [other.settings for other in self.groups if self._row(other) == row]
        told = told_apart(group.settings, same)
        return f"{row}, {told}" if told else row

    def _row(self, group: Group) -> str:
        """Selector, size, and the version or placement."""
        settings, row = group.settings, group.label
        if settings["method.train_on"] == "subset":
            row += " strong" if settings["method.augments"] else " weak"
        if settings.get("method.placement", "append") != "append":
            row += f", {settings['method.placement']}"
        return row


def reference(group: Group, groups: Sequence[Group], selector: str) -> Group | None:
    """The group without augmentation, or with all augmented, that a group is compared with.

    Args:
      group: of a method.
      groups: among which to look.
      selector: "none" or "all".
    """
    for other in groups:
        settings = other.settings
        if settings["method.selector"] != selector:
            continue
        # Everything is trained on where all is augmented, also beside training on a subset alone.
        left_out = (*_OF_EACH, "method.train_on", "method.weights")
        names = [name for name in settings if name not in left_out]
        if selector == "none":
            names = [name for name in names if not name.startswith("method.")]
        if all(settings[name] == group.settings.get(name) for name in names):
            return other
    return None


def find_families(groups: Sequence[Group]) -> list[Family]:
    """Divides groups into families; a group without augmentation may belong to several."""
    by_settings: dict[str, list[Group]] = {}
    for group in groups:
        if group.settings["method.selector"] not in ("none", "all"):
            left_out = set(_OF_EACH)
            if group.settings["method.train_on"] == "subset":
                left_out |= set(_OF_STRONG)
            shared = {k: v for k, v in group.settings.items() if k not in left_out}
            by_settings.setdefault(records.fingerprint(shared), []).append(group)
    found: list[Family] = []
    for own in by_settings.values():
        none, everything = (reference(own[0], groups, name) for name in ("none", "all"))
        found.append(Family(*_title(own), tuple(own), none, everything))
    used = [group for family in found for group in family.groups]
    for group in groups:
        if group not in used and group.settings["method.selector"] == "all":
            found.append(Family(*_title([group]), (), reference(group, groups, "none"), group))
    used = [group for family in found for group in family.groups]
    found += [Family(*_title([group]), (), group, None) for group in groups if group not in used]
    return _with_own_titles(found)


def _name_of(group: Group) -> str:
    settings = group.settings
    told = [settings["data.name"]]
    if settings["data.classes"]:
        told.append(f"{len(settings['data.classes'])} classes")
    if settings["data.imbalance"]:
        told.append(f"imbalance {settings['data.imbalance']:g}")
    if settings["data.label_noise"]:
        told.append(f"{100 * settings['data.label_noise']:g} % wrong labels")
    return ", ".join([*told, settings["model.name"]])


def _title(groups: Sequence[Group]) -> tuple[str, str]:
    settings = groups[0].settings
    placements = {group.settings.get("method.placement", "append") for group in groups}
    if placements != {"append"}:
        table = "T3"
    elif settings["method.train_on"] == "subset":
        table = "T2"
    else:
        table = "T7" if settings.get("method.reselect_every") == 1 else "T1"
    every = settings.get("method.reselect_every")
    told = "" if every is None else f", R = {every}"
    return table, f"comparison on {_name_of(groups[0])}{told}"


def _with_own_titles(families: list[Family]) -> list[Family]:
    """Adds to titles that are the same the settings in which the families differ."""
    titled = []
    for family in families:
        same = [other for other in families if other[:2] == family[:2]]
        settings = [other.groups[-1].settings for other in same]
        told = told_apart(family.groups[-1].settings, settings, without=_OF_EACH)
        titled.append(family._replace(title=f"{family.title} ({told})" if told else family.title))
    return titled
