"""Shape and type checks of the tests: beartype, on every call of nearly all of the library."""

from pathlib import Path

from beartype import BeartypeConf, beartype

# An int is accepted where a float is (PEP 484).
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))

# Small functions that are called so often, by others that are checked, that the checks of them
# alone took a tenth of the suite's time.
UNCHECKED = {
    "ntk_aug.augment.pixels.affine",
    "ntk_aug.augment.pixels.packing",
    "ntk_aug.augment.policies.magnitudes",
    "ntk_aug.checks",
    "ntk_aug.jacobian.float64",
    "ntk_aug.jacobian.sites",
}


def checked_modules() -> list[str]:
    """The names of all modules of the library that are checked."""
    root = Path(__file__).parents[1]
    files = (root / "ntk_aug").rglob("*.py")
    names = {".".join(path.relative_to(root).with_suffix("").parts) for path in files}
    return sorted(name for name in names - UNCHECKED if not name.endswith("__init__"))
