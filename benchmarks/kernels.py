"""Jacobian rows and kernels beside the peers: `python -m benchmarks.kernels --network resnet20`.

One process for each method, with the same weights and images, on one core. The first call is cold
(it compiles, where the method does); the others are warm, and their median counts. `rows` are all
rows of J, kept in memory; `kernel` is J J' from the images: ours and the other rows' product in
float64, neural_tangents' and nngeometry's own in float32. Every kernel is compared with the first
method's. GFLOP/s are of useful operations (`kernel_methods.operations`); peak memory is what comes
on top of the process before the first call. "again" is a second process, which finds what the first
one compiled in JAX's persistent cache; "J / 3" is held to a third of the Jacobian, with a quarter
of it as the budget of rows.
The peers come with `pip install -e '.[bench]'`.
"""

import json
import statistics
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from benchmarks.kernel_methods import METHODS, NUM_CLASSES, engine_of, operations, weights
from benchmarks.measuring import (
    child_result,
    difference,
    memory_gib,
    one_core,
    product_rates,
    reset_peak,
    timed,
)

NETWORKS = {"resnet20": (32, 32, 3), "mlp": (28, 28, 1), "mixer": (32, 32, 3)}


@dataclass(frozen=True)
class Options:
    """Times rows and kernels of one network by each method."""

    network: str = "resnet20"
    """resnet20, mlp (784-512-3), or mixer (one block of an MLP-Mixer, 64 tokens x 64 channels)."""
    sizes: tuple[int, ...] = (60, 300)
    """Numbers of images n."""
    methods: tuple[str, ...] = tuple(METHODS)
    """Which methods."""
    repeats: int = 3
    """Warm calls."""
    max_neural_tangents: int = 60
    """Largest n for neural_tangents and for nngeometry's own kernel of a ResNet: they take long."""
    out: str | None = None
    """JSON file to write the measurements into."""
    child: str | None = None
    """Measure this one method in this process: how the others are called."""


def main(options: Options) -> None:
    """Measures each method in a process of its own."""
    if options.child:
        measure(options)
        return
    results = []
    machine = child_result("benchmarks.kernels", ["--child", "machine"])
    for n in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            cache = {
                "JAX_COMPILATION_CACHE_DIR": f"{folder}/cache",
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            }
            for method in options.methods:
                arguments = ["--child", method, "--sizes", str(n), "--out", f"{folder}/kernel.npy"]
                arguments += ["--network", options.network, "--repeats", str(options.repeats)]
                arguments += ["--max-neural-tangents", str(options.max_neural_tangents)]
                results.append(child_result("benchmarks.kernels", arguments, **cache))
    results = [result for result in results if result]
    print_results(options, machine, results)
    if options.out:
        report = {"options": asdict(options), "machine": machine, "results": results}
        Path(options.out).write_text(json.dumps(report, indent=2) + "\n")


def measure(options: Options) -> None:
    """Measures one method on one core and prints a line of JSON."""
    one_core()
    if options.child == "machine":
        print(json.dumps(product_rates()))
        return
    (n,) = options.sizes
    net, variables = weights(options.network)
    shape = NETWORKS[options.network]
    images = np.random.default_rng(0).normal(size=(n, *shape)).astype(np.float32)
    rows, kernel = METHODS[options.child](options, net, variables, images)
    result = {"method": options.child, "network": options.network, "n": n}
    if options.child == "ntk_aug, J / 3":
        # What is compiled, and the libraries, are there before memory is counted.
        engine_of(options, variables, images).factors(images[:20])
    before = memory_gib("VmRSS")
    reset_peak()
    for name, run in (("rows", rows), ("kernel", kernel)):
        if run is not None:
            cold, _ = timed(run)
            warm = [timed(run) for _ in range(options.repeats)]
            result[f"{name}_cold"] = cold
            result[f"{name}_warm"] = statistics.median(seconds for seconds, _ in warm)
            if name == "kernel":
                result["difference"] = difference(warm[-1][1], Path(options.out))
    result["peak_gib"] = memory_gib("VmHWM") - before
    if options.child == "ntk_aug":
        result |= operations(options, variables, images)
    print(json.dumps(result))


def print_results(options: Options, machine: dict, results: list[dict]) -> None:
    """Prints a table: seconds, how many times longer than ours, and what is reached."""
    table = Table(
        "n",
        "method",
        "rows, s (warm)",
        "x ours",
        "GFLOP/s",
        "kernel, s (warm)",
        "x ours",
        "cold, s",
        "peak, GiB",
        "difference",
        title=f"{options.network}, {NUM_CLASSES} outputs, one core",
    )
    for result in results:
        own = next(r for r in results if r["method"] == "ntk_aug" and r["n"] == result["n"])
        rows, kernel = result.get("rows_warm"), result.get("kernel_warm")
        cells = [str(result["n"]), result["method"]]
        cells += _seconds(rows, own["rows_warm"])
        cells.append("-" if rows is None else f"{own['rows_flop'] / rows / 1e9:.0f}")
        cells += _seconds(kernel, own["kernel_warm"])
        cold = result.get("rows_cold", result.get("kernel_cold"))
        cells += ["-" if cold is None else f"{cold:.1f}", f"{result['peak_gib']:.2f}"]
        cells.append(f"{result['difference']:.1e}" if "difference" in result else "-")
        table.add_row(*cells)
    console = Console(width=120)
    console.print(table)
    for own in (result for result in results if result["method"] == "ntk_aug"):
        seconds = own["kernel_warm"] - own["rows_warm"]
        product = own["product_flop"] / seconds / 1e9 if seconds > 0 else float("nan")
        console.print(
            f"n = {own['n']}: J is {own['jacobian_gib']:.3f} GiB; our product is as fast as one of "
            f"whole rows at {product:.0f} GFLOP/s"
        )
    console.print(
        f"products of matrices here: {machine['float32']:.0f} GFLOP/s in float32, "
        f"{machine['float64']:.0f} in float64"
    )


def _seconds(seconds, own):
    return ["-", ""] if seconds is None else [f"{seconds:.3f}", f"{seconds / own:.2f}"]


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
