"""How far each computed singular value may be from the exact one, and which are uncertain.

Two errors add up. The rows: J is computed as J + E, and by Weyl no singular value moves further
than ||E||_2 (`rounding.rows_rounding` estimates it). And the decomposition, in arithmetic of
precision eps: a direct SVD is exact for a matrix c eps sigma_1 away; eigenvalues of K = J J' are
those of a matrix c eps sigma_1^2 away, which moves sigma by c eps sigma_1^2 / sigma, and a sigma of
zero to sqrt(c eps) sigma_1 at most.

Measured on networks, the largest values move by a tenth to a half of Weyl's bound, small ones by
1 / 10,000 to 1 / 10 of it: rounding does not point where they are.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from ntk_aug.aliases import Bool, Float64, Inputs, Labels
from ntk_aug.checks import check_at_least, check_same_shape
from ntk_aug.errors import InputError
from ntk_aug.inputs import num_examples, take_examples
from ntk_aug.jacobian import FlippedMasks, JacobianRows, RowFactors, flipped_masks
from ntk_aug.models import ModelView
from ntk_aug.ntk import DEFAULT_MEMORY_BYTES
from ntk_aug.records import fingerprint

# c of the analysis above: at most 4.2 was measured for kernels of networks with up to 900 rows.
_CONSTANT = 8
UNCERTAIN_SHARE = 0.1


def value_errors(
    values: Float64[np.ndarray, " r"], *, backend: str, dtype: str, rows_norm: float
) -> Float64[np.ndarray, " r"]:
    """An estimate of the absolute error of each singular value, from above.

    Args:
      values: sigma_i, descending.
      backend: a key of `BACKENDS`; neural_tangents sums in the precision of the rows.
      dtype: of the rows.
      rows_norm: ||E||_2 of the rows' rounding; NaN if it is not known, and then all errors are.
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
    """Which values have an estimated error above UNCERTAIN_SHARE, a tenth, of themselves.

    Those whose error is not known (NaN) are uncertain, too.
    """
    return ~(errors <= UNCERTAIN_SHARE * values)


DEFAULT_SAMPLE = 20
# Of each augmented version besides those with flips: their rounding is much the same as without
# augmentation, and float64 rows of a ResNet take three times as long as float32 ones.
_SAMPLE_OF_VERSION = 10
_RATIO = float(np.finfo("float64").eps / np.finfo("float32").eps)


class RowsRounding(NamedTuple):
    """The rounding E = J(float32) - J(float64) of the rows.

    Attributes:
      norm: an estimate of ||E||_2 for all n images.
      norm_without_flips: what it would be if no mask flipped.
      median: of |row of E| / |row of J| over the images of the sample.
      largest: the largest of them.
      largest_without_flips: the same without images in which a mask flips; NaN if there are none.
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

    E'E is a sum over images, and the largest eigenvalue is convex: for m of n images drawn at
    random, ||E||_2^2 is at most n / m times the mean of ||E_m||_2^2 over all draws (of which one is
    computed: it may be below the mean, while Weyl's bound leaves more room). Images in which
    masks flip are few and far off, so they are a part of their own: half of the sample, if there
    are so many. The squares of the two parts add up, again from above.

    Args:
      single: rows of a network in float32.
      double: those of the same network in float64.
      masks: what `jacobian.flipped_masks` finds on the same images.
      images: network inputs [n, ...], such as [n, h, w, c].
      labels: [n]; needed for `jacobian.LABELLED_ROWS` only.
      sample: images at most.
      memory_bytes: budget of the rows held at once; the sample is smaller if it has to be.

    Raises:
      InputError: rows of other precisions, a sample of none, or what `JacobianRows.blocks` refuses.
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
    # Of the rows in float32, in float64, and their difference.
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
        # All images are given, so that the blocks are those of the study: the same program.
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
    """What rounding does to the rows of one set of inputs.

    Attributes:
      norm: ||E||_2 of the rows that were asked for, in their own precision; NaN if not known.
      masks: that float32 and float64 set differently; -1 of each image if not known.
      rows: the rounding of float32 rows.
    """

    norm: float
    masks: FlippedMasks
    rows: RowsRounding


def measure_rounding(
    view: ModelView,
    engine: JacobianRows,
    example: Any,
    versions: Iterable[Inputs],
    labels: Labels | None,
    *,
    rows: str,
    memory_bytes: int,
    report: Callable[[], None],
) -> list[InputsRounding]:
    """The rounding of the rows of each version of the inputs, in their order.

    One engine in the other precision serves all versions, and so does one program for the masks, as
    long as the versions fit into the budget together. Equal versions are measured once. The first
    version has the sample of `rows_rounding`, the others one of half its size, and up to as many
    images more in which masks flip.

    Args:
      view: of the network.
      engine: its rows.
      example: the shape of one example, as `JacobianRows` takes it.
      versions: the inputs, and what augmentations make of them.
      labels: [n]; needed for `jacobian.LABELLED_ROWS` only.
      rows: a key of `jacobian.ROWS`.
      memory_bytes: budget of the rows, or else of the inputs, held at once.
      report: called when a version is done.

    Raises:
      PrecisionError: the network cannot be computed in float64.
    """
    other = "float64" if engine.dtype == "float32" else "float32"
    second = JacobianRows(view.apply_fn, view.params, example, rows=rows, dtype=other)
    single, double = (engine, second) if other == "float64" else (second, engine)
    measured: dict[tuple[str, ...], InputsRounding] = {}
    order = []
    for group in _in_groups(versions, memory_bytes):
        named = [(_name(version), version) for version in group]
        new = {name: version for name, version in named if name not in measured}
        masks_of = dict(zip(new, _masks(view, list(new.values())), strict=True))
        for name, _ in named:
            if name not in measured:
                masks = masks_of[name]
                flips = int((masks.flipped > 0).sum())
                found = rows_rounding(
                    single,
                    double,
                    masks,
                    new[name],
                    labels,
                    sample=min(_SAMPLE_OF_VERSION + flips, DEFAULT_SAMPLE)
                    if measured
                    else DEFAULT_SAMPLE,
                    memory_bytes=memory_bytes,
                )
                # float64 rows round 2^-29 times as much, and masks hardly ever flip.
                norm = found.norm if engine is single else _RATIO * found.norm_without_flips
                measured[name] = InputsRounding(norm, masks, found)
            order.append(name)
            report()
    return [measured[name] for name in order]


def unknown_rounding(n: int) -> InputsRounding:
    """What there is to say where the network cannot be computed in float64: nothing."""
    nan = float("nan")
    return InputsRounding(
        nan, FlippedMasks(np.full(n, -1), -1), RowsRounding(nan, nan, nan, nan, nan, 0)
    )


def _in_groups(versions: Iterable[Inputs], limit: int) -> Iterator[list[Inputs]]:
    """Consecutive versions that fit into so many bytes together; at least one at a time."""
    group: list[Inputs] = []
    held = 0
    for version in versions:
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(version))
        if group and held + size > limit:
            yield group
            group, held = [], 0
        group.append(version)
        held += size
    if group:
        yield group


def _name(version: Inputs) -> tuple[str, ...]:
    return tuple(fingerprint(leaf) for leaf in jax.tree.leaves(version))


def _masks(view: ModelView, versions: list[Inputs]) -> list[FlippedMasks]:
    """The masks of each version, counted in one call: it compiles its programs anew every time."""
    if not versions:
        return []
    together = jax.tree.map(lambda *leaves: np.concatenate(leaves), *versions)
    found = flipped_masks(view.apply_fn, view.params, together)
    return [found._replace(flipped=part) for part in np.split(found.flipped, len(versions))]


def _factored(engine: JacobianRows) -> dict[str, bool]:
    """Of each parameter, whether its columns are in factors."""
    parts = engine.by_parameter(engine.empty_factors(1))
    return {path: bool(part.inputs) for path, part in parts.items()}


def _error_gram(single: RowFactors, double: RowFactors) -> np.ndarray:
    """E E', without a difference of products, which would be nothing but rounding.

    In the columns of a dense layer a row of E is x (x) d - x' (x) d' = (x - x') (x) d +
    x' (x) (d - d').
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
