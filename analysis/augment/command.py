"""`python -m analysis augment`: draws a contact sheet of augmented images."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import jax
import numpy as np
import tyro

from analysis.augment.sheet import draw_sheet
from analysis.common.figures import save_figure
from ntk_aug import augment, data, records
from ntk_aug.aliases import Augmentation
from ntk_aug.checks import check_count
from ntk_aug.errors import InputError
from ntk_aug.training.versions import augmentation_for

MARKER = "summary.json"


@dataclass(frozen=True)
class AugmentOptions:
    """Draws a contact sheet: rows of images, columns of draws, what was drawn under each.

    Writes sheet.png, sheet.pdf and summary.json, which names every draw.
    """

    data: str | None = None
    """Data set by name (digits works without a download); default: digits."""
    data_dir: str | None = None
    """Where prepared data sets lie; default: the environment variable TFDS_DATA_DIR."""
    images: str | None = None
    """Your own images: an npz file with images [n, h, w(, c)] and labels [n]."""
    augment: str = "autoaugment-cifar10"
    """Augmentation: a name, name:strength, or module:function for your own; several joined by "+"
    are applied in order; see --list."""
    n: int = 6
    """Images: rows of the sheet, at most 50, drawn uniformly."""
    draws: int = 8
    """Draws for each image: columns of the sheet, at most 50, after the image itself."""
    seed: int = 0
    """Of images and augmentations."""
    out: str = "runs/augment"
    """Folder to write."""
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Replace an earlier sheet in that folder."""
    list: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """List the augmentations by name, and stop."""
    table: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print the policy's table, and stop."""


def run_augment(options: AugmentOptions) -> None:
    """Runs the command; raises InputError for a user's mistake."""
    if options.list:
        return print_list()
    augmentation = augment.build_augmentation(options.augment)
    if options.table:
        return print_policy(options.augment, augmentation)
    records.check_free_folder(options.out, marker=MARKER, overwrite=options.overwrite)
    check_count(options.n, 50, "--n")
    check_count(options.draws, 50, "--draws")
    images, chosen = load_images(options)
    key = jax.random.key(options.seed)
    augmented = augment_all(augmentation, key, images, chosen.indices, options.draws)
    told = describe_all(augmentation, key, images.shape[1:3], chosen.indices, options.draws)
    summary = {
        "options": asdict(options),
        "data": {"name": chosen.name, "indices": chosen.indices, "labels": chosen.labels},
        "drawn": told,
        "environment": records.environment(),
    }
    with records.staged_folder(options.out, marker=MARKER, overwrite=options.overwrite) as folder:
        records.write_json(folder / MARKER, summary)
        title = f"{options.augment} on {chosen.name}, seed {options.seed}"
        save_figure(draw_sheet(images, augmented, told, title), folder / "sheet")
    print(f"sheet    {Path(options.out, 'sheet.png')}\ndrawn    {Path(options.out, MARKER)}")
    return None


def load_images(options: AugmentOptions) -> tuple[np.ndarray, data.Dataset]:
    """The images of the sheet as floats in [0, 1], and which they are."""
    if options.images and options.data:
        raise InputError("--images and --data exclude each other")
    if options.images:
        dataset = data.load_images_file(options.images, "train")
    else:
        dataset = data.load_dataset(options.data or "digits", "train", data_dir=options.data_dir)
    augmentation_for(dataset, options.augment)
    key = jax.random.fold_in(jax.random.key(options.seed), 2)
    chosen = data.draw_examples(key, dataset, check_count(options.n, len(dataset), "--n"))
    return np.asarray(data.unit_range(chosen.images)), chosen


def augment_all(
    augmentation: Augmentation, key, images: np.ndarray, indices: np.ndarray, draws: int
) -> np.ndarray:
    """The draws of each image, [n, draws, H, W, c], by the keys that every program uses."""

    def one(index, image, draw):
        return augmentation(augment.example_key(key, 0, index, draw), image)

    of_image = jax.vmap(one, (None, None, 0))
    return np.asarray(jax.jit(jax.vmap(of_image, (0, 0, None)))(indices, images, np.arange(draws)))


def describe_all(
    augmentation: Augmentation, key, size: tuple[int, ...], indices: np.ndarray, draws: int
) -> list[list[str]]:
    """A description of each draw; empty for an augmentation that has none."""
    describe = getattr(augmentation, "describe", None)
    if describe is None:
        return [[""] * draws for _ in indices]
    return [
        [describe(augment.example_key(key, 0, int(index), draw), *size) for draw in range(draws)]
        for index in indices
    ]


def print_policy(name: str, augmentation: Augmentation) -> None:
    """Prints the table that an augmentation draws from."""
    if not hasattr(augmentation, "policy"):
        raise InputError(f"augmentation {name!r} has no table: it is no policy")
    print(augmentation)


def print_list() -> None:
    """Prints all augmentations: name, default strength, what they do."""
    width = max(map(len, augment.AUGMENTATIONS))
    for name, entry in augment.AUGMENTATIONS.items():
        strength = "" if entry.default is None else f"[STRENGTH {entry.default:g}] "
        print(f"{name:{width}}  {strength}{entry.description}")
