"""How the cost of the spectrum study grows: `python -m benchmarks.spectrum_cost --model resnet20`.

For growing n it times, in one process, the parts of one draw: rows of J and J~ (n P), the kernels
K, M and K~ from them (n^2 P), and both eigendecompositions with the angles ((n C)^3). It prints
each time, and the exponent of n between the smallest and the largest study and over the last step.
Times do not depend on pixels, so the images are random and the network is not trained.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import jax
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from ntk_aug import jacobian, models, ntk, records, spectrum
from ntk_aug.ntk.products import factor_products
from ntk_aug.spectrum.bins import DEFAULT_BINS, compare_bins, equal_count_bins
from ntk_aug.spectrum.decomposition import pair_from_kernels

PARTS = {"rows": "n P", "kernels": "n^2 P", "decomposition": "(n C)^3"}
EXPECTED_EXPONENTS = {"rows": 1, "kernels": 2, "decomposition": 3}


@dataclass(frozen=True)
class Options:
    """Times the parts of the spectrum study for growing numbers of images."""

    model: str = "mlp"
    """Network by name."""
    image_shape: tuple[int, int, int] | None = None
    """Height, width, channels; default: 28 28 1 for the MLP, 32 32 3 for the others."""
    num_classes: int = 3
    """Outputs C."""
    sizes: tuple[int, ...] = (100, 200, 300, 450, 600, 900)
    """Numbers of images n."""
    repeats: int = 3
    """Times each part is measured; the median counts."""
    out: str | None = None
    """JSON file to write the measurements into."""


def main(options: Options) -> None:
    """Measures, prints a table and writes the file."""
    shape = options.image_shape or ((28, 28, 1) if options.model == "mlp" else (32, 32, 3))
    network = models.build_network(options.model, options.num_classes)
    images = np.asarray(jax.random.uniform(jax.random.key(0), (max(options.sizes), *shape)))
    view = network.view(*network.init(jax.random.key(1), images[:1]))
    engine = jacobian.JacobianRows(view, shape)
    points = []
    for n in sorted(options.sizes):
        seconds = {
            part: statistics.median(_seconds(run) for _ in range(options.repeats))
            for part, run in parts(engine, images[:n])
        }
        points.append({"n": n, **seconds})
        print(points[-1], flush=True)
    report = {
        "options": asdict(options),
        "num_params": engine.num_params,
        "points": points,
        "exponents": {
            part: {
                "all": exponent(points[0], points[-1], part),
                "last step": exponent(points[-2], points[-1], part),
                "expected": EXPECTED_EXPONENTS[part],
            }
            for part in PARTS
        },
        "environment": records.environment(),
    }
    print_report(report)
    if options.out:
        records.write_json(options.out, report)


def parts(
    engine: jacobian.JacobianRows, images: np.ndarray
) -> Iterator[tuple[str, Callable[[], object]]]:
    """What is timed for these images, by part."""
    J, J_aug = engine.factors(images), engine.factors(images[::-1])  # compiles

    def rows():
        engine.factors(images, out=J)
        engine.factors(images[::-1], out=J_aug)

    yield "rows", rows

    def kernels():
        return ntk.KernelTriple(
            factor_products(J, J),
            factor_products(J, J_aug),
            factor_products(J_aug, J_aug),
        )

    yield "kernels", kernels
    triple = kernels()
    bins = equal_count_bins(len(triple.plain), DEFAULT_BINS)

    def decomposition():
        plain = spectrum.factors_of_kernel(triple.plain, engine.num_params)
        pair = pair_from_kernels(plain, triple, engine.num_params)
        return compare_bins(pair, bins, tolerance=0.0)

    yield "decomposition", decomposition


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def exponent(smaller: dict, larger: dict, part: str) -> float:
    """The power of n with which a part's time grew from one point to the other."""
    return float(np.log(larger[part] / smaller[part]) / np.log(larger["n"] / smaller["n"]))


def print_report(report: dict) -> None:
    """Prints the points and the exponents."""
    options = report["options"]
    title = f"{options['model']}, P = {report['num_params']:,}, C = {options['num_classes']}"
    table = Table("n", *(f"{part}, s ({growth})" for part, growth in PARTS.items()), title=title)
    for point in report["points"]:
        table.add_row(str(point["n"]), *(f"{point[part]:.3f}" for part in PARTS))
    for which in ("all", "last step", "expected"):
        exponents = [f"{report['exponents'][part][which]:.2f}" for part in PARTS]
        table.add_row(f"exponent, {which}", *exponents)
    Console(width=100).print(table)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
