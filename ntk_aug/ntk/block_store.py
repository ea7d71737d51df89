"""Finished blocks of a kernel on disk, so that an interrupted computation can resume."""

from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from ntk_aug.aliases import Float64, Inputs
from ntk_aug.checks import check_writable_folder
from ntk_aug.errors import BrokenFileError
from ntk_aug.jacobian import JacobianRows
from ntk_aug.records import StrPath, fingerprint, replacing

# Entries of one or several kernels for the same rows and columns.
Block = Sequence[Float64[np.ndarray, "A B"]]


class BlockStore:
    """Blocks of one kernel, each in a file that is written atomically.

    The folder is named by a hash of all that determines the kernel, so blocks of other weights or
    images are never mistaken for them. Without a folder nothing is kept.
    """

    def __init__(
        self, folder: StrPath | None, rows: JacobianRows, kind: str, arrays: Sequence[Inputs]
    ):
        """Names the kernel's own folder inside `folder`; None keeps nothing.

        `arrays` are the images and labels that determine the kernel of this kind; None stands for
        no labels. Raises InputError if the folder cannot be written.
        """
        self.folder = None
        if folder is not None:
            check_writable_folder(folder)
            decisive = [rows.fingerprint(), kind]
            decisive += [
                [fingerprint(np.asarray(leaf)) for leaf in jax.tree.leaves(inputs)]
                for inputs in arrays
            ]
            self.folder = Path(folder) / fingerprint(decisive)[:32]

    def find(self, a: slice, b: slice) -> Block | None:
        """The finished block of images a x b, or None; raises BrokenFileError if it is damaged."""
        if self.folder is None or not self._path(a, b).exists():
            return None
        try:
            return list(np.load(self._path(a, b), allow_pickle=False))
        except (ValueError, OSError, EOFError) as error:
            raise BrokenFileError(f"{self._path(a, b)} is no block of a kernel: {error}") from None

    def keep(self, a: slice, b: slice, block: Block) -> None:
        """Writes the block of images a x b."""
        if self.folder is not None:
            with replacing(self._path(a, b)) as temporary, temporary.open("wb") as file:
                np.save(file, np.stack(block), allow_pickle=False)

    def _path(self, a, b):
        return self.folder / f"{a.start}-{a.stop}x{b.start}-{b.stop}.npy"
