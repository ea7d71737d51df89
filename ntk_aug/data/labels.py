"""Conversion of labels, integers or texts, to the classes 0 .. C - 1 of a network's outputs."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ntk_aug.aliases import Int32
from ntk_aug.errors import InputError


class LabelClasses(NamedTuple):
    """The classes of a data set.

    Attributes:
      labels: [C], the distinct label of each class, an integer or a text.
      names: one name per class.
    """

    labels: np.ndarray
    names: tuple[str, ...]

    def numbers(self, labels: Any, what: str = "labels") -> Int32[np.ndarray, " n"]:
        """Returns the class of each label; raises InputError, also if a label is unknown."""
        labels = as_labels(labels, what)
        known = {label: number for number, label in enumerate(self.labels.tolist())}
        missing = [place for place, label in enumerate(labels.tolist()) if label not in known]
        if missing:
            shown = ", ".join(map(str, self.labels[:20])) + (", ..." if len(known) > 20 else "")
            raise InputError(
                f"label {labels[missing[0]]} of example {missing[0]} of {what} is none of the "
                f"{len(known)} known: {shown}"
            )
        return np.array([known[label] for label in labels.tolist()], np.int32)


def as_labels(labels: Any, what: str = "labels") -> np.ndarray:
    """Converts labels to an array [n] of integers or texts (bytes are decoded).

    Raises InputError if there is no label, more than one axis, or another type.
    """
    labels = np.asarray(labels)
    if labels.dtype.kind == "S":
        try:
            labels = np.char.decode(labels, "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{what} are bytes that are not UTF-8: {error}") from None
    if labels.ndim != 1 or not len(labels) or labels.dtype.kind not in "biuU":
        raise InputError(
            f"{what} are {labels.dtype} {labels.shape}, expected one integer or text per example"
        )
    return labels.astype(np.int64) if labels.dtype.kind == "b" else labels


def find_classes(
    labels: Any, class_names: Sequence[str | bytes] | np.ndarray = (), *, what: str = "labels"
) -> LabelClasses:
    """Finds the classes of labels [n]: the distinct labels, sorted and named by themselves.

    With `class_names`, labels that are texts are names, and integers are indices 0 .. C - 1 of
    names; other integers, such as 1 .. C, get the names in sorted order.

    Raises:
      InputError: as `as_labels`, or the names do not fit the labels.
    """
    labels = as_labels(labels, what)
    occurring = np.unique(labels)
    if not np.size(class_names):
        return LabelClasses(occurring, tuple(str(label) for label in occurring))
    own = np.atleast_1d(np.asarray(class_names))
    names = tuple(n.decode() if isinstance(n, bytes) else str(n) for n in own.tolist())
    if labels.dtype.kind == "U":
        return LabelClasses(np.asarray(names), names)
    if occurring[0] >= 0 and occurring[-1] < len(names):
        return LabelClasses(np.arange(len(names)), names)
    if len(occurring) == len(names):
        return LabelClasses(occurring, names)
    raise InputError(
        f"{what} are {len(occurring)} different ones, {occurring[0]} to {occurring[-1]}, for "
        f"{len(names)} class names: expected 0 .. {len(names) - 1}, or as many as names"
    )
