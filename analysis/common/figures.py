"""Colours and style of all figures, and the function that writes one."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ntk_aug.records import replacing

# Okabe and Ito's colours can be told apart with any kind of colour vision.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "figure.dpi": 150,
    "pdf.fonttype": 42,  # text stays text
}
SHEET_STYLE: dict[Any, Any] = {"font.size": 6, "figure.dpi": 150, "pdf.fonttype": 42}
"""Of sheets of small images."""


def show_image(axes: Axes, image: np.ndarray, text: str) -> None:
    """Shows an image [h, w, c] of floats, clipped to [0, 1], with text under it."""
    grey = image.shape[2] == 1
    shown = np.clip(image[..., 0] if grey else image, 0, 1)
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_anchor("N")
    axes.set_xlabel(text, labelpad=2)


def save_figure(figure: Figure, stem: str | os.PathLike) -> None:
    """Writes STEM.png and STEM.pdf, each whole or not at all."""
    for ending in ("png", "pdf"):
        path = Path(f"{os.fspath(stem)}.{ending}")
        # Without a date in it, the same study gives the same file.
        metadata = {"CreationDate": None} if ending == "pdf" else None
        with replacing(path) as temporary:
            figure.savefig(temporary, format=ending, metadata=metadata)
