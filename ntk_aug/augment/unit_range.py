"""Which augmentations may leave the range [0, 1] of pixels: those that declare it."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

_F = TypeVar("_F", bound=Callable)


def leaves_unit_range(augmentation: _F) -> _F:
    """Declares that the images of an augmentation may leave [0, 1]; also as a decorator.

    Additive noise and linear maps do, and theory needs them unclipped. A spectrum study refuses
    any other augmentation whose images leave [0, 1], since a wrong scale is the usual reason.

    Returns:
      The augmentation with an attribute `leaves_unit_range`, or, if it takes no attributes, a
      `functools.partial` of it.
    """
    declared: Any = augmentation
    try:
        declared.leaves_unit_range = True
    except AttributeError:  # a frozen dataclass, a method
        declared = partial(augmentation)
        declared.leaves_unit_range = True
    return declared


def may_leave_unit_range(augmentation: Callable) -> bool:
    """Whether `leaves_unit_range` was declared of the augmentation, or of what it is a partial of.

    An attribute of that name that is true counts as well, such as a field of the user's own class.
    """
    if getattr(augmentation, "leaves_unit_range", False):
        return True
    return isinstance(augmentation, partial) and may_leave_unit_range(augmentation.func)
