"""How exact small singular values are: `python -m benchmarks.accuracy --activation tanh`.

Trains an MLP on real digits and computes the spectrum of its Jacobian from float32 rows and from
float64 rows, by kernels; what is true is the direct SVD of the float64 rows. For each decade of
sigma / sigma_1 it prints the largest relative error and the largest estimate of it.
"""

from dataclasses import asdict, dataclass

import jax
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from ntk_aug import data, jacobian, records, spectrum, training
from ntk_aug.ntk.products import factor_products
from ntk_aug.spectrum.accuracy import rows_rounding, value_errors


@dataclass(frozen=True)
class Options:
    """Measures the errors of singular values, and what they are estimated to be."""

    activation: str = "tanh"
    """Activation of the MLP, relu or tanh."""
    width: int = 16
    """Hidden units."""
    n: int = 300
    """Images of the ten classes of digits."""
    epochs: int = 5
    """Epochs of training."""
    cache: str = "runs/pretrained"
    """Folder of pretrained networks."""
    out: str | None = None
    """JSON file to write the measurements into."""


def main(options: Options) -> None:
    """Measures, prints a table and writes the file."""
    train = data.load_dataset("digits", "train")
    view = training.train_named_model(
        "mlp",
        train,
        training.TrainingConfig(epochs=options.epochs, batch_size=64, learning_rate=0.05),
        options={"activation": options.activation, "width": options.width},
        cache=options.cache,
    ).view
    drawn = data.draw_examples(jax.random.key(0), train, options.n)
    images = np.asarray(
        data.normalize(data.unit_range(drawn.images), mean=train.mean, std=train.std)
    )
    engines = {
        dtype: jacobian.JacobianRows(view, images.shape[1:], dtype=dtype)
        for dtype in ("float32", "float64")
    }
    masks = jacobian.flipped_masks(view, images)
    rounding = rows_rounding(*engines.values(), masks, images)
    exact = np.linalg.svd(engines["float64"](images), compute_uv=False)
    # Against the direct SVD of the float64 rows, their own rounding does not show.
    norms = {"float32": rounding.norm, "float64": 0.0}
    decades = np.floor(np.log10(np.maximum(exact / exact[0], 1e-300)))
    errors: dict[str, dict[str, np.ndarray]] = {}
    for dtype, engine in engines.items():
        J = engine.factors(images)
        kernel = factor_products(J, J)
        computed = spectrum.factors_of_kernel(kernel, engine.num_params).values
        estimate = value_errors(computed, backend="kernel", dtype=dtype, rows_norm=norms[dtype])
        errors[dtype] = {"measured": np.abs(computed - exact), "estimated": estimate}
    points = [
        {
            "decade": int(decade),
            "values": int((decades == decade).sum()),
            **{
                f"{dtype} {kind}": float((error / exact)[decades == decade].max())
                for dtype, kinds in errors.items()
                for kind, error in kinds.items()
            },
        }
        for decade in np.unique(decades)[::-1]
        if decade >= -8  # below, nothing is left of the values
    ]
    report = {
        "options": asdict(options),
        "rounding": rounding._asdict(),
        "masks_flipped": masks.flipped.sum(),
        "points": points,
        "covered": {
            dtype: bool((kinds["measured"] <= kinds["estimated"]).all())
            for dtype, kinds in errors.items()
        },
        "environment": records.environment(),
    }
    print_report(report, points)
    if options.out:
        records.write_json(options.out, report)


def print_report(report: dict, points: list[dict]) -> None:
    """The table, by decades, and whether every estimate is above the error."""
    table = Table(*points[0])
    for point in points:
        decade, count, *errors = point.values()
        table.add_row(f"1e{decade}", str(count), *(f"{error:.1e}" for error in errors))
    Console(width=max(Console().width, 120)).print(table)
    print(f"estimates cover the errors: {report['covered']}; rows: {report['rounding']}")


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
