"""The contact sheet: images in rows, their augmentations in columns, what was drawn under each."""

import textwrap
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from analysis.common.figures import SHEET_STYLE, show_image

CELL = 1.35
"""Inches of a cell's side."""


def draw_sheet(
    images: np.ndarray, augmented: np.ndarray, told: Sequence[Sequence[str]], title: str
) -> Figure:
    """Draws the sheet.

    Args:
      images: floats in [0, 1], [n, h, w, c].
      augmented: [n, draws, H, W, c]; values outside [0, 1] are shown clipped.
      told: for each image and draw, its description.
      title: title of the figure.
    """
    n, draws = augmented.shape[:2]
    lines = [[textwrap.wrap(text, 23, break_on_hyphens=False) for text in row] for row in told]
    # Rows are as high as the longest words under them.
    heights = [CELL + 0.13 * max(map(len, row)) for row in lines]
    with matplotlib.rc_context(SHEET_STYLE):
        figure = Figure(figsize=(CELL * (draws + 1), sum(heights) + 0.4), layout="constrained")
        grid = figure.subplots(n, draws + 1, squeeze=False, height_ratios=heights)
        for row, (axes, image) in enumerate(zip(grid, images, strict=True)):
            show_image(axes[0], image, "the image itself" if row == 0 else "")
            for draw, cell in enumerate(axes[1:]):
                show_image(cell, augmented[row, draw], "\n".join(lines[row][draw]))
        figure.suptitle(title, fontsize=9)
    return figure
