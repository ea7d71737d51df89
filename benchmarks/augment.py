"""Policies on the device beside Pillow on one core: `python -m benchmarks.augment`.

Ours starts from floats in [0, 1] and ends with them, and draws from the keys; Pillow starts from
pictures in memory, is told what to do, and ends with pictures, so that its time is that of the
operations alone. Both do the same to the same images: differing pixels are counted. Compilation is
reported apart, and so is the memory that the compiled program takes besides its images.
"""

import functools
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import PIL
import tyro
from PIL import Image, ImageDraw, ImageOps
from rich.console import Console
from rich.table import Table

from ntk_aug.augment.pixels.dispatch import use_dispatch
from ntk_aug.augment.policies.magnitudes import magnitude_of
from ntk_aug.augment.policies.policy import wu_policy

CASES = {
    "autoaugment-cifar10": (32, 512),
    "wu": (32, 512),
    "autoaugment-imagenet": (224, 16),
}
"""From a policy to the side of its images and their number in a batch.

Larger batches than these cost as much again for memory: what the C library does not keep between
calls comes from the system anew, page by page (38 MB of results of 64 images of side 224).
"""


@dataclass(frozen=True)
class Options:
    """Times policies against Pillow."""

    cases: tuple[str, ...] = tuple(CASES)
    """Which policies."""
    dispatches: tuple[str, ...] = ("one-by-one", "grouped", "all")
    """Which ways to choose among operations: see augment/dispatch.py."""
    repeats: int = 7
    """Calls that are timed; the median counts. Ours and Pillow's alternate."""
    batches: int = 4
    """Batches of different images and keys in a call."""
    out: str | None = None
    """JSON file to write the measurements into."""


def main(options: Options) -> None:
    """Measures everything in this process, on one core."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # before JAX starts its threads
    results = [result for case in options.cases for result in measure(case, options)]
    print_results(results)
    if options.out:
        versions = {"pillow": PIL.__version__, "python": sys.version.split()[0]}
        record = {"options": asdict(options), "versions": versions, "results": results}
        Path(options.out).write_text(json.dumps(record, indent=2) + "\n")


def measure(case: str, options: Options) -> list[dict]:
    """One result for Pillow and one for each dispatch."""
    import jax

    from ntk_aug import augment

    side, batch = CASES[case]
    n = batch * options.batches
    pixels = photographs(n, side)
    augmentation = named(case)
    key = jax.random.key(0)
    indices = np.arange(n)
    draw = jax.jit(
        jax.vmap(lambda i: augmentation.draw(augment.example_key(key, 0, i, 0), side, side))
    )
    drawn = jax.device_get(draw(indices))
    recipes = [
        recipe(augmentation, jax.tree.map(lambda leaf, i=i: leaf[i], drawn), side) for i in range(n)
    ]
    pictures = [Image.fromarray(image) for image in pixels]
    floats = pixels.astype(np.float32) / 255
    parts = in_batches(floats, indices, batch)

    def augmented(images, places):
        return augment.augment_batch(augmentation, key, images, places)

    def by_pillow():
        return [follow(steps, picture) for steps, picture in zip(recipes, pictures, strict=True)]

    expected = np.stack([np.asarray(picture) for picture in by_pillow()])
    programs, results = {}, []
    for name in options.dispatches:
        with use_dispatch(name):
            start = time.perf_counter()
            program = (
                jax.jit(
                    lambda images, places: augment.augment_batch(augmentation, key, images, places)
                )
                .lower(floats[:batch], indices[:batch])
                .compile()
            )
            compile_seconds = time.perf_counter() - start
        programs[name] = functools.partial(run_all, program, parts)
        ours = np.round(255 * np.concatenate([program(*part) for part in parts]))
        memory = program.memory_analysis()
        results.append(
            {
                "case": case,
                "method": name,
                "side": side,
                "batch": batch,
                "device": jax.devices()[0].device_kind,
                "compile_seconds": compile_seconds,
                "batch_mib": (memory.argument_size_in_bytes + memory.output_size_in_bytes) / 2**20,
                "temporary_mib": memory.temp_size_in_bytes / 2**20,
                "differing_pixels": int((ours != expected).sum()),
            }
        )
    seconds = alternate({"Pillow": by_pillow, **programs}, options.repeats)
    results.insert(0, {"case": case, "method": "Pillow", "side": side})
    for result in results:
        result["images_per_second"] = n / statistics.median(seconds[result["method"]])
        result["range"] = [n / max(seconds[result["method"]]), n / min(seconds[result["method"]])]
    for result in results:
        result["times_pillow"] = result["images_per_second"] / results[0]["images_per_second"]
    return results


def named(case: str):
    """The augmentation of a case."""
    from ntk_aug import augment

    if case == "wu":
        return augment.WuAugmentation(wu_policy((125, 123, 114)))
    return augment.PolicyAugmentation(augment.POLICIES[case])


def photographs(n: int, side: int) -> np.ndarray:
    """Smooth noise of every brightness and contrast, uint8 [n, side, side, 3]: no two alike."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (n, 6, 6, 3)).astype(np.uint8)
    smooth = np.stack(
        [
            np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))
            for image in coarse
        ]
    )
    grain = rng.integers(-12, 13, smooth.shape)
    return np.clip(smooth * rng.uniform(0.4, 1, (n, 1, 1, 1)) + grain, 0, 255).astype(np.uint8)


def recipe(augmentation, draw, side: int) -> list[tuple]:
    """What Pillow has to do for a draw: (what, its arguments)."""
    from ntk_aug import augment

    if isinstance(augmentation, augment.PolicyAugmentation):
        return policy_recipe(augmentation.policy, draw, side)
    steps = policy_recipe(augmentation.policy, draw.steps, side)
    steps.append(("crop", side // 8, *(int(offset) for offset in draw.chain.offset)))
    if draw.chain.mirrored:
        steps.append(("mirror",))
    length, _, _, row, column = draw.chain.cutout.parameters[0][:5]
    return [*steps, cutout_step(length, row, column, side, augmentation.policy.cutout_fill)]


def policy_recipe(policy, draw, side):
    """The steps of a policy that are applied."""
    steps = []
    for place in np.flatnonzero(draw.applied):
        name = policy.operations[int(draw.plan.operation[place])]
        if name.startswith("Cutout"):
            length, _, _, row, column = draw.parameters[place][:5]
            steps.append(cutout_step(length, row, column, side, policy.cutout_fill))
        elif name not in ("Identity", "Mixup"):
            magnitude = magnitude_of(
                name,
                int(draw.plan.level[place]),
                sign=-1 if draw.negative[place] else 1,
                height=side,
                width=side,
                mapping=policy.magnitudes,
            )
            steps.append(("operate", policy.full_name(name), magnitude))
    return steps


def cutout_step(length, row, column, side, fill):
    """The rectangle of Wu et al.'s Cutout, both ends inclusive."""
    x, y = (int(max(0, centre / 65536 - length / 2)) for centre in (column, row))
    return "rectangle", (x, y, min(side, x + int(length)), min(side, y + int(length))), fill


def follow(steps: list[tuple], picture: Image.Image) -> Image.Image:
    """Does the steps to a picture by Pillow."""
    from benchmarks.pillow_operations import operate

    for what, *arguments in steps:
        if what == "operate":
            picture = operate(*arguments, picture)
        elif what == "crop":
            padding, top, left = arguments
            edges = (padding, padding)
            padded = np.pad(np.asarray(picture), (edges, edges, (0, 0)), "reflect")
            box = (left, top, left + picture.width, top + picture.height)
            picture = Image.fromarray(padded).crop(box)
        elif what == "mirror":
            picture = ImageOps.mirror(picture)
        else:
            picture = picture.copy()
            ImageDraw.Draw(picture).rectangle(*arguments)
    return picture


def in_batches(floats: np.ndarray, indices: np.ndarray, batch: int) -> list:
    """The arguments of each call, on the device."""
    import jax

    starts = range(0, len(floats), batch)
    return [jax.device_put((floats[s : s + batch], indices[s : s + batch])) for s in starts]


def run_all(program: Callable, parts: list) -> None:
    """Calls a program on one batch after the other; each result is dropped, as in training."""
    for part in parts:
        program(*part).block_until_ready()


def alternate(functions: dict[str, Callable], repeats: int) -> dict[str, list[float]]:
    """Processor time of each function, in seconds, called in turns.

    On one core that is the wall's time of an idle machine; what else the machine does is left out.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.process_time()
            function()
            seconds[name].append(time.process_time() - start)
    return seconds


def print_results(results: list[dict]) -> None:
    """Prints a table."""
    columns = ("policy", "side", "method", "images/s", "x Pillow", "compile, s", "batch, MiB")
    table = Table(*columns, "besides, MiB", "differing", title="One core")
    for result in results:
        cells = [result["case"], str(result["side"]), result["method"]]
        cells += [f"{result['images_per_second']:,.0f}", f"{result['times_pillow']:.2f}"]
        if result["method"] == "Pillow":
            cells += ["-"] * 4
        else:
            cells += [f"{result['compile_seconds']:.1f}", f"{result['batch_mib']:.1f}"]
            cells += [f"{result['temporary_mib']:.1f}", str(result["differing_pixels"])]
        table.add_row(*cells)
    Console(width=120).print(table)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
