"""Jacobian rows and kernels beside the peers: `python -m benchmarks.kernels --network resnet20`.

One process for each method, with the same weights and images, on one core. The first call is cold
(it compiles, where the method does); the others are warm, and their median counts. `rows` are all
rows of J, kept in memory; `kernel` is J J' from the images: ours and the other rows' product in
float64, neural_tangents' and nngeometry's own in float32. Every kernel is compared with the first
method's. The peers come with `pip install -e '.[bench]'`.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

NUM_CLASSES = 3
METHODS = ("ntk_aug", "vmap(jacrev)", "torch.func", "nngeometry", "neural_tangents")
NETWORKS = {"resnet20": (32, 32, 3), "mlp": (28, 28, 1), "mixer": (32, 32, 3)}


@dataclass(frozen=True)
class Options:
    """Times rows and kernels of one network by each method."""

    network: str = "resnet20"
    """resnet20, mlp (784-512-3), or mixer (one block of an MLP-Mixer, 64 tokens x 64 channels)."""
    sizes: tuple[int, ...] = (60, 300)
    """Numbers of images n."""
    methods: tuple[str, ...] = METHODS
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
    for n in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            reference = Path(folder) / "kernel.npy"
            for method in options.methods:
                command = [sys.executable, "-m", "benchmarks.kernels", "--child", method]
                command += ["--network", options.network, "--repeats", str(options.repeats)]
                command += ["--sizes", str(n), "--out", str(reference)]
                command += ["--max-neural-tangents", str(options.max_neural_tangents)]
                threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
                environment = {**os.environ, **dict.fromkeys(threads, "1")}
                done = subprocess.run(
                    command, env=environment, stdout=subprocess.PIPE, text=True, check=False
                )
                if done.returncode:
                    print(f"{method}: exit status {done.returncode}", file=sys.stderr)
                    continue
                results.append(json.loads(done.stdout.splitlines()[-1]))
                print(results[-1], flush=True)
    print_results(options, results)
    if options.out:
        Path(options.out).write_text(
            json.dumps({"options": asdict(options), "results": results}, indent=2) + "\n"
        )


def measure(options: Options) -> None:
    """Measures one method on one core and prints a line of JSON."""
    one_core()
    (n,) = options.sizes
    net, variables = weights(options.network)
    shape = NETWORKS[options.network]
    images = np.random.default_rng(0).normal(size=(n, *shape)).astype(np.float32)
    rows, kernel = METHOD_FUNCTIONS[options.child](options, net, variables, images)
    result = {"method": options.child, "network": options.network, "n": n}
    for name, run in (("rows", rows), ("kernel", kernel)):
        if run is not None:
            cold, _ = timed(run)
            warm = [timed(run) for _ in range(options.repeats)]
            result[f"{name}_cold"] = cold
            result[f"{name}_warm"] = statistics.median(seconds for seconds, _ in warm)
            if name == "kernel":
                result["difference"] = difference(warm[-1][1], Path(options.out))
    result["peak_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps(result))


def one_core() -> None:
    """Keeps this process, and the threads that it will start, on one core."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def timed(run: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Seconds, and the result."""
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def difference(kernel: np.ndarray, reference: Path) -> float:
    """max|K - K0| / max|K0| to the first method's, which is saved."""
    if not reference.exists():
        np.save(reference, kernel)
    expected = np.load(reference)
    return float(np.abs(kernel - expected).max() / np.abs(expected).max())


def weights(network: str):
    """The network in PyTorch, and its weights for Flax."""
    import torch

    from benchmarks import torch_networks

    torch.manual_seed(0)
    torch.set_num_threads(1)
    if network == "mlp":
        net = torch_networks.torch_mlp(NUM_CLASSES)
        return net.eval(), torch_networks.flax_mlp_variables(net)
    if network == "mixer":
        net = torch_networks.torch_mixer(NUM_CLASSES)
        return net.eval(), torch_networks.flax_mixer_variables(net)
    net = torch_networks.torch_resnet(NUM_CLASSES, 3, 3)
    return net.eval(), torch_networks.flax_variables(net)


def flax_view(options, variables):
    """The network as ours."""
    import jax

    from benchmarks import torch_networks
    from ntk_aug import models

    jax.config.update("jax_platforms", "cpu")
    if options.network == "mlp":
        module = models.MLP(NUM_CLASSES, width=512, activation="relu")
    elif options.network == "mixer":
        module = torch_networks.flax_mixer(NUM_CLASSES)
    else:
        module = models.CifarResNet(NUM_CLASSES)
    return models.linen_view(module, variables)


def ours(options, net, variables, images):
    """`JacobianRows` and `factor_products`."""
    from ntk_aug import jacobian, ntk

    view = flax_view(options, variables)
    engine = jacobian.JacobianRows(view.apply_fn, view.params, images.shape[1:])
    J, factors = np.empty((len(images) * NUM_CLASSES, engine.num_params), np.float32), None

    def kernel():
        nonlocal factors
        factors = engine.factors(images, out=factors)
        return ntk.factor_products(factors, factors)

    return lambda: engine(images, out=J), kernel


def vmap_jacrev(options, net, variables, images):
    """What one writes first in JAX, in blocks of 20 images."""
    import jax
    import jax.numpy as jnp

    from ntk_aug.ntk import row_products

    view = flax_view(options, variables)

    @jax.jit
    @jax.vmap
    def block(image):
        leaves = jax.tree.leaves(
            jax.jacrev(lambda params: view.apply_fn(params, image[None])[0])(view.params)
        )
        return jnp.concatenate([leaf.reshape(NUM_CLASSES, -1) for leaf in leaves], axis=1)

    num_params = sum(leaf.size for leaf in jax.tree.leaves(view.params))
    J = np.empty((len(images) * NUM_CLASSES, num_params), np.float32)

    def rows():
        for start in range(0, len(images), 20):
            values = np.asarray(block(images[start : start + 20]))
            J[start * NUM_CLASSES :][: values.shape[0] * NUM_CLASSES] = values.reshape(
                -1, num_params
            )
        return J

    def kernel():
        rows()
        return row_products(J, J)

    return rows, kernel


def torch_func(options, net, variables, images):
    """torch.func's vmap(jacrev), in blocks of 20 images."""
    import torch

    from ntk_aug.ntk import row_products

    inputs = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    params = {name: value.detach() for name, value in net.named_parameters()}
    buffers = dict(net.named_buffers())

    def outputs(params, image):
        return torch.func.functional_call(net, (params, buffers), image[None])[0]

    jacobian_of = torch.func.vmap(torch.func.jacrev(outputs), (None, 0))
    num_params = sum(value.numel() for value in params.values())
    J = torch.empty(len(images), NUM_CLASSES, num_params)

    def rows():
        for start in range(0, len(images), 20):
            block = slice(start, start + 20)
            leaves = jacobian_of(params, inputs[block])
            first = 0
            for leaf in leaves.values():
                size = leaf[0, 0].numel()
                J[block, :, first : first + size] = leaf.reshape(len(leaf), NUM_CLASSES, size)
                first += size
        return J

    def kernel():
        matrix = rows().reshape(-1, num_params).numpy()
        return row_products(matrix, matrix)

    return rows, kernel


def nngeometry(options, net, variables, images):
    """The hooks of nngeometry: layer by layer, as ours."""
    import torch
    from nngeometry.backend import TorchHooksJacobianBackend
    from torch.utils.data import DataLoader, TensorDataset

    from ntk_aug.ntk import row_products

    if options.network == "mixer":
        # Its hooks multiply two-dimensional inputs only: no dense layer shared over positions.
        return None, None
    inputs = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    loader = DataLoader(TensorDataset(inputs), batch_size=20)

    def rows():
        return TorchHooksJacobianBackend(net, lambda x: net(x)).get_jacobian(loader)

    def product():
        J = rows().transpose(0, 1).reshape(len(images) * NUM_CLASSES, -1).numpy()
        # Parameters are in another order, which the product does not see.
        return row_products(J, J)

    def own():
        gram = TorchHooksJacobianBackend(net, lambda x: net(x)).get_gram_matrix(loader)
        return gram.permute(1, 0, 3, 2).reshape(len(images) * NUM_CLASSES, -1).detach().numpy()

    return rows, own if options.network == "mlp" else product


def neural_tangents(options, net, variables, images):
    """The fastest implementation, through our bridge, in blocks of 20 images."""
    from ntk_aug import ntk

    view = flax_view(options, variables)
    if len(images) > options.max_neural_tangents and options.network != "mlp":
        return None, None

    def kernel():
        # K alone: the blocks of the triangle, as for the others.
        return ntk.neural_tangents_kernel(view.apply_fn, view.params, images)

    return None, kernel


METHOD_FUNCTIONS = dict(
    zip(METHODS, (ours, vmap_jacrev, torch_func, nngeometry, neural_tangents), strict=True)
)


def print_results(options: Options, results: list[dict]) -> None:
    """Prints a table: seconds, and how many times longer than ours."""
    table = Table(
        "n",
        "method",
        "rows, s (warm)",
        "x ours",
        "kernel, s (warm)",
        "x ours",
        "cold, s",
        "peak GiB",
        "difference",
        title=f"{options.network}, {NUM_CLASSES} outputs, one core",
    )
    for result in results:
        own = next(r for r in results if r["method"] == "ntk_aug" and r["n"] == result["n"])
        cells = [str(result["n"]), result["method"]]
        for name in ("rows_warm", "kernel_warm"):
            seconds = result.get(name)
            ratio = "" if seconds is None else f"{seconds / own[name]:.2f}"
            cells += ["-" if seconds is None else f"{seconds:.3f}", ratio]
        cold = result.get("rows_cold", result.get("kernel_cold"))
        cells += ["-" if cold is None else f"{cold:.1f}", f"{result['peak_gib']:.2f}"]
        cells.append(f"{result['difference']:.1e}" if "difference" in result else "-")
        table.add_row(*cells)
    Console(width=120).print(table)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
