"""Error estimates of computed singular values, and which values are uncertain.

Two errors add up. First, rows: J is computed as J + E, and by Weyl no singular value moves further
than ||E||_2, which `rows_rounding` estimates. Second, the decomposition in arithmetic of precision
eps: a direct SVD is exact for a matrix c eps sigma_1 away; eigenvalues of K = J J' are those of a
matrix c eps sigma_1^2 away, which moves sigma by c eps sigma_1^2 / sigma, and a zero sigma by at
most sqrt(c eps) sigma_1.

On real networks, the largest values moved by 0.1 to 0.5 of Weyl's bound, small ones by 1e-4 to 0.1.
"""

from typing import Any, NamedTuple

import jax
import numpy as np

from ntk_aug.aliases import Bool, Float64, Inputs, Labels
from ntk_aug.checks import check_at_least, check_same_shape
from ntk_aug.errors import InputError, PrecisionError
from ntk_aug.inputs import num_examples, take_examples
from ntk_aug.jacobian import JacobianRows
from ntk_aug.jacobian.masks import FlippedMasks, MaskCounter
from ntk_aug.jacobian.row_factors import RowFactors
from ntk_aug.models import ModelView
from ntk_aug.ntk.triples import DEFAULT_MEMORY_BYTES
from ntk_aug.records import fingerprint

# c above: at most 4.2 was measured for kernels of networks with up to 900 rows.
_CONSTANT = 8
UNCERTAIN_SHARE = 0.1


def value_errors(
    values: Float64[np.ndarray, " r"], *, backend: str, dtype: str, rows_norm: float
) -> Float64[np.ndarray, " r"]:
    """An upper estimate of the absolute error of each singular value, given in descending order.

    `rows_norm` is ||E||_2 of the rows' rounding; NaN (unknown) makes all errors NaN. The backend
    neural_tangents sums in the precision of the rows, `dtype`; others sum in float64.
    """
    sums = dtype if backend == "neural_tangents" else "float64"
    unit = _CONSTANT * float(np.finfo(sums).eps)
    if backend == "svd":
        return np.full_like(values, unit * values[0] + rows_norm)
    largest = max(float(values[0]), np.finfo(np.float64).tiny)
    # sigma^2 +- d is between (sigma -+ d / sigma)^2 if d <= sigma^2, and below 2 d otherwise.
    return unit * largest**2 / np.maximum(values, np.sqrt(unit) * largest) + rows_norm


def uncertain_values(
    values: Float64[np.ndarray, "... r"], errors: Float64[np.ndarray, "... r"]
) -> Bool[np.ndarray, "... r"]:
    """Which values have an error above UNCERTAIN_SHARE of themselves, or an unknown one."""
    return ~(errors <= UNCERTAIN_SHARE * values)


DEFAULT_SAMPLE = 20
# For augmented versions, besides images with flips: rounding is much the same as without
# augmentation, and float64 rows of a ResNet take three times as long as float32 ones.
_SAMPLE_OF_VERSION = 10
_RATIO = float(np.finfo("float64").eps / np.finfo("float32").eps)


class RowsRounding(NamedTuple):
    """The rounding E = J(float32) - J(float64) of the rows.

    Attributes:
      norm: an estimate of ||E||_2 for all n images.
      norm_without_flips: the same if no mask flipped.
      median: of |row of E| / |row of J| over the sampled images.
      largest: the largest of them.
      largest_without_flips: the largest among images without a flipped mask; NaN if there are none.
      num_images: in the sample.
    """

    norm: float
    norm_without_flips: float
    median: float
    largest: float
    largest_without_flips: float
    num_images: int


def rows_rounding(
    single: JacobianRows,
    double: JacobianRows,
    masks: FlippedMasks,
    images: Inputs,
    labels: Labels | None = None,
    *,
    sample: int = DEFAULT_SAMPLE,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
) -> RowsRounding:
    """Measures the rounding of float32 rows on at most `sample` images, evenly spaced.

    E'E is a sum over images and the largest eigenvalue is convex: for m random images of n,
    ||E||_2^2 is at most n / m times the mean of ||E_m||_2^2 over all draws. One draw is computed,
    which may be below the mean; Weyl's bound leaves more room. Images with flipped masks are
    sampled separately, because they are rare and atypical: up to half of the sample. The squares of
    the two parts add up to an upper bound.

    `single` and `double` are rows of a network in float32 and float64, and `masks` what
    `jacobian.flipped_masks` finds on the same images. The budget `memory_bytes` of rows held at
    once may reduce the sample. Images, labels and errors are as for `JacobianRows.blocks`.
    """
    if (single.dtype, double.dtype) != ("float32", "float64"):
        raise InputError(
            f"rows are {single.dtype} and {double.dtype}, expected float32 and float64"
        )
    check_at_least(sample, 1, "sample")
    images = jax.tree.map(np.asarray, images)
    n = num_examples(images)
    check_same_shape(masks.flipped.shape, (n,), "masks.flipped")
    flips = masks.flipped > 0
    parts = [part for part in (np.flatnonzero(~flips), np.flatnonzero(flips)) if len(part)]
    # Bytes of one image's rows in float32 and float64; their difference is held too.
    in_factors = _factored(single) == _factored(double)
    sizes = [
        engine.factor_bytes if in_factors else engine.outputs_per_example * engine.row_bytes
        for engine in (single, double)
    ]
    fitting = max(memory_bytes // (sizes[0] + 2 * sizes[1]), 1)
    room = max(sample - min(len(parts[-1]), sample // 2), 1) if len(parts) == 2 else sample
    of_image, relative = [], []  # ||E_m||_2^2 / m, and the relative errors, of each part
    num_images = 0
    for part in parts:
        count = min(len(part), room, fitting)
        chosen = part[np.linspace(0, len(part) - 1, count).astype(int)]
        # Passing all images makes the blocks, and so the program, those of the study.
        order = np.concatenate([chosen, np.setdiff1d(np.arange(n), chosen)])
        given = None if labels is None else np.asarray(labels)[order]
        ordered = take_examples(images, order)
        if in_factors:
            one, other = (engine.factors(ordered, given, stop=count) for engine in (single, double))
            gram, squares = _error_gram(one, other), other.squared_norms()
        else:
            J, exact = (engine(ordered, given, stop=count) for engine in (single, double))
            E = J - exact
            gram, squares = E @ E.T, np.einsum("ij,ij->i", exact, exact)
        of_image.append(max(np.linalg.eigvalsh(gram)[-1], 0) / count)
        norms = np.sqrt(squares)
        errors = np.sqrt(np.maximum(gram.diagonal(), 0))
        relative.append(np.divide(errors, norms, out=np.zeros_like(errors), where=norms > 0))
        num_images += count
        room = max(sample - count, 1)
    everything = np.concatenate(relative)
    return RowsRounding(
        norm=float(np.sqrt(np.dot([len(part) for part in parts], of_image))),
        norm_without_flips=float(np.sqrt(n * of_image[0])),
        median=float(np.median(everything)),
        largest=float(everything.max()),
        largest_without_flips=float("nan" if flips.all() else relative[0].max()),
        num_images=num_images,
    )


class InputsRounding(NamedTuple):
    """The effect of rounding on the rows of one batch of inputs.

    Attributes:
      norm: ||E||_2 of the rows in their own precision; NaN if unknown.
      masks: flipped between float32 and float64; -1 if unknown.
      rows: the rounding of float32 rows.
    """

    norm: float
    masks: FlippedMasks
    rows: RowsRounding


class RoundingMeter:
    """Measures the rounding of one network's rows for any number of versions of its inputs.

    One engine in the other precision and one program for the masks serve all versions; equal
    versions are measured once. The first version has the sample of `rows_rounding`, later ones half
    of it plus up to as many images with flipped masks.

    Attributes:
      unknown: why nothing is known, if the network cannot be computed in float64; otherwise empty.
    """

    def __init__(
        self,
        view: ModelView,
        engine: JacobianRows,
        example: Any,
        labels: Labels | None,
        *,
        rows: str,
        memory_bytes: int,
    ):
        """Prepares the engine in the other precision, beside the given engine of the view."""
        self.unknown = ""
        self._engine, self._labels, self._memory_bytes = engine, labels, memory_bytes
        self._measured: dict[tuple[str, ...], InputsRounding] = {}
        other = "float64" if engine.dtype == "float32" else "float32"
        try:
            second = JacobianRows(view, example, rows=rows, dtype=other)
            self._count_masks = MaskCounter(view)
        except PrecisionError as error:
            self.unknown = str(error)
        else:
            self._pair = (engine, second) if other == "float64" else (second, engine)

    def __call__(self, inputs: Inputs) -> InputsRounding:
        """The rounding of the rows of these inputs; NaN if unknown."""
        if not self.unknown:
            try:
                return self._measure(inputs)
            except PrecisionError as error:
                self.unknown = str(error)
        n, nan = num_examples(inputs), float("nan")
        masks = FlippedMasks(np.full(n, -1), -1)
        return InputsRounding(nan, masks, RowsRounding(nan, nan, nan, nan, nan, 0))

    def _measure(self, inputs):
        name = tuple(fingerprint(leaf) for leaf in jax.tree.leaves(inputs))
        if name not in self._measured:
            masks = self._count_masks(inputs)
            flips = int((masks.flipped > 0).sum())
            later = min(_SAMPLE_OF_VERSION + flips, DEFAULT_SAMPLE)
            found = rows_rounding(
                *self._pair,
                masks,
                inputs,
                self._labels,
                sample=later if self._measured else DEFAULT_SAMPLE,
                memory_bytes=self._memory_bytes,
            )
            # float64 rounds 2^-29 times as much, and masks hardly ever flip.
            of_single = self._engine is self._pair[0]
            norm = found.norm if of_single else _RATIO * found.norm_without_flips
            self._measured[name] = InputsRounding(norm, masks, found)
        return self._measured[name]


def _factored(engine: JacobianRows) -> dict[str, bool]:
    """Whether the columns of each parameter are in factors."""
    parts = engine.layout.by_parameter(engine.layout.empty(1))
    return {path: bool(part.inputs) for path, part in parts.items()}


def _error_gram(single: RowFactors, double: RowFactors) -> np.ndarray:
    """E E', without a difference of products, which would be mere rounding.

    In the columns of a dense layer a row of E is x (x) d - x' (x) d' = (x - x') (x) d + x' (x) (d -
    d').
    """
    difference = single.rows - double.rows
    gram = difference @ difference.T
    k = single.outputs_per_example
    layers = zip(single.inputs, single.cotangents, double.inputs, double.cotangents, strict=True)
    for x, d, exact_x, exact_d in layers:
        terms = [(x - exact_x, d.astype(np.float64)), (exact_x, d - exact_d)]
        for inputs, cotangents in terms:
            for others, other_cotangents in terms:
                products = np.repeat(np.repeat(inputs @ others.T, k, axis=0), k, axis=1)
                gram += products * (cotangents @ other_cotangents.T)
    return gram
