"""The report of a spectrum study: one HTML file with its figures inside."""

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from analysis.common.pages import image, page, table
from analysis.spectrum.accuracy import accuracy_sentence
from analysis.spectrum.followed import followed_runs, summarised_parts
from analysis.spectrum.table import TABLE_COLUMNS, agreement_sentence, table_rows
from ntk_aug.spectrum import SpectrumStudy

EXPLANATION = """
<p>J is the Jacobian of the network's outputs on the plain images with respect to its parameters,
J&#771; the one on the augmented images, rows in the same order; E = J&#771; &minus; J.
Singular values of both are sorted from the largest and put into bins of equal count by rank.</p>
<ul>
<li><b>eps0</b>: largest Euclidean distance between an image and its augmentation, in units of the
network's input.</li>
<li><b>||E||</b>: spectral norm; no singular value moves further (Weyl). <b>bound</b>: the certified
sqrt(n) L<sub>J</sub> eps0 &ge; ||E||, for networks with a smooth activation only.</li>
<li><b>relative change</b>: mean difference of a bin divided by its mean singular value.</li>
<li><b>values that fell</b>: share of ranks whose singular value is smaller when augmented.</li>
<li><b>left angle</b>: mean principal angle between the spans of a bin's left singular vectors
(directions in output space); the right one is in weight space. Dashed: what random subspaces of the
same size would have.</li>
<li><b>Spearman</b>: rank correlation of bin number and relative change averaged over the draws,
mean over the networks: +1 if smaller singular values always grow relatively more. Over all bins,
and over those without an uncertain value.</li>
<li><b>uncertain values</b>: share of augmented singular values with an estimated error above 10 %.
</li>
</ul>"""

EXPLANATION_OF_EPOCHS = """
<p>A column is a run, a line one of its epochs. The lowest row is about alignment: the share of the
one-hot labels, without each output's mean, that lies in the span of a bin's left singular vectors.
Dashed: if the labels preferred no direction.</p>"""

FLAGS = """
<ul>
<li><b>null</b>: a value of the bin is too small for its vectors to mean anything (below sigma_1
times the resolution of the computation). Its angle, relative change
and share of values that fell are left out.</li>
<li><b>tie</b>: the gap to a neighbouring bin is zero to rounding: the bin's subspace is undefined.
</li>
<li><b>gap &lt; ||E||</b>: the gap to a neighbouring bin is smaller than the perturbation.
Neighbouring bins may then trade directions, and no theorem bounds the angle.</li>
</ul>"""

ACCURACY_COLUMNS = (
    "images",
    "uncertain values",
    "||rounding of J|| / sigma_1",
    "float32 rows' error: median / largest / largest without flips",
    "images with flips",
)

ACCURACY = """
<p>The estimated error of a singular value is from above: the norm of the rounding of J's rows
(Weyl), measured on a few images and scaled to all, and the rounding of the decomposition. Plain
images and each augmented version of them have estimates of their own; the largest of all draws is
shown. A mask (of a ReLU, a maximum, a clip) that flips within rounding is one that float32 and
float64 set differently: its row differs by a whole term. Bins with an uncertain value, plain or
augmented, have hollow markers, a * in the table, and are grey in figures of one method. Spearman is
given over all bins and over those without an uncertain value. "-": not known.</p>"""


def report_html(study: SpectrumStudy, summary: Mapping, figures: Sequence[Path]) -> str:
    """The page: table, figures, flags, accuracy and settings; the first figure shows all."""
    settings = study.settings
    networks = [
        (
            f"{n['model']} {n['options'] or ''}",
            f"seed {n['training']['seed']}, {n['epochs_done']} of {n['training']['epochs']} epochs"
            if n["training"]
            else f"weights of {n['folder']}",
            _percent(n["train_accuracy"]),
            _percent(n["test_accuracy"]),
        )
        for n in summary["networks"]
    ]
    facts = [
        ("data", f"{summary['data']['name']}, classes {', '.join(summary['data']['classes'])}"),
        ("images", f"{settings.num_examples} ({summary['data']['images_per_class']} per class)"),
        ("rows of J", f"{settings.rows}, {settings.outputs_per_example} per image"),
        ("parameters", f"{settings.num_params:,}"),
        ("bins", f"{study.num_bins} of {study.bin_sizes.min()} to {study.bin_sizes.max()} values"),
        ("backend", f"{settings.backend}, {settings.dtype} rows"),
        ("random subspaces", _baseline_error(study)),
        ("seed", settings.seed),
        ("time", f"{summary['seconds']:.0f} s"),
        ("environment", ", ".join(f"{k} {v}" for k, v in summary["environment"].items())),
    ]
    flags = [
        (
            item.get("part", "") + item["name"],
            item["description"],
            _percent(item["null"]),
            _percent(item["tie"]),
            _percent(item["gaps_below_perturbation"]),
        )
        for item in summary["augmentations"]
    ]
    rows = [
        row for name, part in summarised_parts(study, summary) for row in table_rows(part, name)
    ]
    agreement = summary["kernel_agreement"]
    sections = [
        "<h2>What was found</h2>",
        table([header.replace("\n", ": ") for header, _ in TABLE_COLUMNS], rows),
        EXPLANATION,
        EXPLANATION_OF_EPOCHS if followed_runs(study, summary) else "",
        image(figures[0]),
        *(["<h2>Each augmentation</h2>", *map(image, figures[1:])] if figures[1:] else []),
        "<h2>Flags</h2>",
        table(["augmentation", "what it does", "null", "tie", "gap < ||E||"], flags),
        FLAGS,
        "<h2>Accuracy</h2>",
        f"<p>{html.escape(accuracy_sentence(study))}.</p>",
        table(["network", *ACCURACY_COLUMNS], _accuracy_rows(study)),
        ACCURACY,
        *(
            ["<h2>The kernels by a second route</h2>", f"<p>{agreement_sentence(agreement)}.</p>"]
            if agreement
            else []
        ),
        "<h2>Settings</h2>",
        table(["network", "training", "train accuracy", "test accuracy"], networks),
        table(["", ""], facts),
    ]
    title = f"Jacobian spectrum under augmentation: {summary['data']['name']}"
    return page(title, sections)


def _accuracy_rows(study: SpectrumStudy) -> list[tuple[str, ...]]:
    """Cells under `ACCURACY_COLUMNS`, for plain images and each augmentation of each network."""
    rows = []
    for w in range(len(study.values)):
        rows.append(
            (
                str(w + 1),
                "plain",
                *_accuracy_cells(
                    study.uncertain[w],
                    study.rows_norm[w] / study.values[w, 0],
                    study.row_error_median[w],
                    study.row_error[w],
                    study.row_error_without_flips[w],
                    study.row_error_images[w],
                    study.masks_flipped[w],
                ),
            )
        )
        for a, name in enumerate(study.settings.augmentations):
            cells = _accuracy_cells(
                study.augmented_uncertain[w, a],
                study.augmented_rows_norm[w, a] / study.augmented_values[w, a, :, 0],
                study.augmented_row_error_median[w, a],
                study.augmented_row_error[w, a],
                study.augmented_row_error_without_flips[w, a],
                study.augmented_row_error_images[w, a],
                study.augmented_masks_flipped[w, a],
            )
            rows.append((str(w + 1), name, *cells))
    return rows


def _accuracy_cells(uncertain, norm, median, largest, without_flips, images, flipped):
    """The cells of one version of the images; of several draws, the largest of each."""
    if np.isnan(norm).any():
        return ("-",) * 4
    without = np.nanmax(without_flips) if np.isfinite(without_flips).any() else np.nan
    return (
        f"{uncertain.sum():,} of {uncertain.size:,}",
        f"{np.max(norm):.1e}",
        f"{np.max(median):.1e} / {np.max(largest):.1e} / {without:.1e} in {np.sum(images)} images",
        f"{(flipped > 0).sum():,} of {flipped.size:,}",
    )


def _baseline_error(study: SpectrumStudy) -> str:
    """The standard error of the dashed lines of the figures."""
    largest = max(study.left_baseline_error.max(), study.right_baseline_error.max())
    error = f"at most {largest:.2g} degrees" if np.isfinite(largest) else "not known"
    return f"standard error of their mean angle: {error}"


def _percent(share) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
