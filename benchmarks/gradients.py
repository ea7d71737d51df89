"""Norms of per-example gradients beside the peers: `python -m benchmarks.gradients`.

ResNet20 with ten outputs and the cross-entropy, float32, the same weights and images for all, one
process and one core for each method. `ntk_aug` is `jacobian.row_norms` with its own block size. The
peers, jit(vmap(grad)) and torch.func, run at the fastest of a few block sizes, found on the first
images; both sum the squares without leaving their program. The first call is cold (it compiles,
where the method does, at one block size); the median of the warm ones counts.
"""

import json
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from benchmarks.measuring import child_result, difference, one_core, timed

NUM_CLASSES, IMAGE_SHAPE = 10, (32, 32, 3)
METHODS = ("ntk_aug", "vmap(grad)", "torch.func")


@dataclass(frozen=True)
class Options:
    """Times norms of per-example gradients by each method."""

    data: str = "random"
    """random images, or cifar10 as prepared by tensorflow-datasets (TFDS_DATA_DIR)."""
    n: int = 256
    """Number of images."""
    methods: tuple[str, ...] = METHODS
    """Which methods."""
    block_sizes: tuple[int, ...] = (1, 2, 4, 8, 20)
    """Of the peers; the fastest counts."""
    repeats: int = 3
    """Warm calls."""
    cache: str | None = None
    """Folder of JAX's persistent compilation cache; None compiles anew."""
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
    with tempfile.TemporaryDirectory() as folder:
        for method in options.methods:
            arguments = ["--child", method]
            arguments += ["--data", options.data, "--n", str(options.n)]
            arguments += ["--repeats", str(options.repeats)]
            arguments += ["--block-sizes", *map(str, options.block_sizes)]
            arguments += ["--cache", options.cache] if options.cache else []
            arguments += ["--out", str(Path(folder) / "norms.npy")]
            results.append(child_result("benchmarks.gradients", arguments))
    results = [result for result in results if result]
    print_results(options, results)
    if options.out:
        report = {"options": asdict(options), "results": results}
        Path(options.out).write_text(json.dumps(report, indent=2) + "\n")


def measure(options: Options) -> None:
    """Measures one method on one core and prints a line of JSON."""
    one_core()
    images, labels = examples(options)
    norms, block_size, cold = METHOD_FUNCTIONS[options.child](options, images, labels)
    warm = [timed(norms) for _ in range(options.repeats)]
    seconds = statistics.median(seconds for seconds, _ in warm)
    result = {
        "method": options.child,
        "n": len(images),
        "block_size": block_size,
        "cold_block": cold,
        "warm": seconds,
        "images_per_second": len(images) / seconds,
        "difference": difference(warm[-1][1], Path(options.out)),
    }
    print(json.dumps(result))


def examples(options: Options) -> tuple[np.ndarray, np.ndarray]:
    """Images [n, 32, 32, 3] and labels [n]."""
    if options.data == "random":
        rng = np.random.default_rng(0)
        images = rng.normal(size=(options.n, *IMAGE_SHAPE)).astype(np.float32)
        return images, rng.integers(NUM_CLASSES, size=options.n)
    from ntk_aug import data

    train = data.load_dataset(options.data, "train")
    images = np.asarray(
        data.normalize(data.unit_range(train.images[: options.n]), train.mean, train.std)
    )
    return images, train.labels[: options.n]


def fastest(block_sizes: tuple[int, ...], norms: Callable, n: int) -> tuple[int, float]:
    """The block size with the most images/s, and the seconds of its first call."""
    found = {}
    for size in block_sizes:
        few = range(min(4 * max(size, 5), n))
        cold, _ = timed(lambda size=size: norms(size, range(min(size, n))))
        warm = min(timed(lambda size=size, few=few: norms(size, few))[0] for _ in range(3))
        found[size] = warm / len(few), cold
    best = min(found, key=lambda size: found[size][0])
    return best, found[best][1]


def flax_view(options):
    """The network as ours, with the weights of PyTorch's."""
    import jax

    from ntk_aug import models

    jax.config.update("jax_platforms", "cpu")
    if options.cache:
        jax.config.update("jax_compilation_cache_dir", options.cache)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    _, variables = weights()
    return models.linen_view(models.CifarResNet(NUM_CLASSES), variables)


def weights():
    """The network in PyTorch, and its weights for Flax."""
    import torch

    from benchmarks import torch_networks

    torch.manual_seed(0)
    net = torch_networks.torch_resnet(NUM_CLASSES, 3, 3).eval()
    return net, torch_networks.flax_variables(net)


def ours(options, images, labels):
    """`jacobian.row_norms`."""
    from ntk_aug import jacobian

    view = flax_view(options)
    rows = jacobian.JacobianRows(view, IMAGE_SHAPE, rows="cross-entropy")
    block = slice(rows.block_size)
    cold, _ = timed(lambda: jacobian.row_norms(rows, images[block], labels[block]))
    return lambda: jacobian.row_norms(rows, images, labels), rows.block_size, cold


def vmap_grad(options, images, labels):
    """What one writes first in JAX."""
    import jax
    import jax.numpy as jnp
    import optax

    view = flax_view(options)

    def loss(params, image, label):
        logits = view.apply_fn(params, image[None])[0]
        return optax.softmax_cross_entropy_with_integer_labels(logits, label)

    @jax.jit
    def block_norms(images, labels):
        def norm(image, label):
            return optax.tree.norm(jax.grad(loss)(view.params, image, label))

        return jax.vmap(norm)(images, labels)

    def norms(size, members):
        return np.concatenate(
            [
                np.asarray(block_norms(jnp.asarray(images[b]), jnp.asarray(labels[b])))
                for b in blocks(size, members)
            ]
        )

    size, cold = fastest(options.block_sizes, norms, len(images))
    return lambda: norms(size, range(len(images))), size, cold


def torch_func(options, images, labels):
    """torch.func's vmap(grad)."""
    import torch

    net, _ = weights()
    torch.set_num_threads(1)
    inputs = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    targets = torch.from_numpy(np.asarray(labels, np.int64))
    params = {name: value.detach() for name, value in net.named_parameters()}
    buffers = dict(net.named_buffers())

    def loss(params, image, label):
        logits = torch.func.functional_call(net, (params, buffers), image[None])
        return torch.nn.functional.cross_entropy(logits, label[None])

    gradients = torch.func.vmap(torch.func.grad(loss), (None, 0, 0))

    def norms(size, members):
        found = []
        for b in blocks(size, members):
            leaves = gradients(params, inputs[b], targets[b]).values()
            found.append(sum(leaf.flatten(1).square().sum(1) for leaf in leaves).sqrt().numpy())
        return np.concatenate(found)

    size, cold = fastest(options.block_sizes, norms, len(images))
    return lambda: norms(size, range(len(images))), size, cold


def blocks(size: int, members: range) -> list[slice]:
    """Consecutive blocks of images."""
    stop = len(members)
    return [slice(start, min(start + size, stop)) for start in range(0, stop, size)]


METHOD_FUNCTIONS = dict(zip(METHODS, (ours, vmap_grad, torch_func), strict=True))


def print_results(options: Options, results: list[dict]) -> None:
    """Prints a table: images a second, and ours against each peer."""
    table = Table(
        "method",
        "block",
        "images/s (warm)",
        "ours is faster by",
        "first block, s (cold)",
        "difference",
        title=f"ResNet20, {NUM_CLASSES} outputs, {options.data}, n = {options.n}, one core",
    )
    for result in results:
        table.add_row(
            result["method"],
            str(result["block_size"]),
            f"{result['images_per_second']:.1f}",
            f"{results[0]['images_per_second'] / result['images_per_second']:.2f}",
            f"{result['cold_block']:.2f}",
            f"{result['difference']:.1e}",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
