"""What training costs beside what it cannot do without: `python -m benchmarks.training`.

Five parts, each of pairs that take turns in one process (A B, B A, A B, ...); what counts is the
median of the pairs' ratios; on a busy machine, look at that of the processor's time as well. "Same
twice" is the median distance from 1 of the ratio of two neighbouring epochs of one contestant: what
noise does to one pair.

loop: an epoch of `training.train`, all that passes between two calls of `on_epoch`, against a bare
jitted step over batches that lie ready in device memory. Augmentation, selection and evaluation are
not in it.
appended: training and augmentation, with AutoAugment of a coreset of 30 % appended to the data,
against plain training. The share of examples is 1.3. The same run gives the cost of augmentation,
of evaluation (a fifth as many images), and of selection from last-layer logits: measured before
every epoch (R = 1), and from the same seconds for R = 20.
wu: the method of Wu et al. on all images in place (K = 4 candidates, S = 1 kept) against K forward
passes and S training steps of the bare network. Drawing the candidates, without a network, is timed
by itself.
torch: the loop against PyTorch's own (channels_last, normalised batches that lie ready) on the same
cores; left out where PyTorch is not installed. On several cores, measure it on an idle machine
only: PyTorch's threads wait for the slowest of them, and spin while they wait.

Data are real where TFDS_DATA_DIR says where they lie, the embedded digits otherwise. The loop's
lengths repeat the images if there are too few.
"""

import importlib.util
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import tyro

from benchmarks.training_contestants import (
    BareLoop,
    BareStep,
    TorchLoop,
    TrainingRun,
    candidates_alone,
)
from benchmarks.training_table import print_results
from ntk_aug import data, models, training
from ntk_aug.checks import check_at_least, check_choice
from ntk_aug.errors import InputError
from ntk_aug.training.history import EpochRecord
from ntk_aug.training.initial import initial_state

WARMUP = {"resnet20": 1, "mlp": 2}  # turns that do not count; the first compiles
PARTS = ("loop", "appended", "wu", "torch")
DATA = {"resnet20": "cifar10", "mlp": "mnist"}
STEPS = {"resnet20": (2, 4, 10), "mlp": (20, 100, 400)}
IMAGES = {"resnet20": 512, "mlp": 6400}
PAIRS = {"resnet20": 4, "mlp": 15}
FRACTION, CANDIDATES, RESELECT_EVERY = 0.3, 4, 20


@dataclass(frozen=True)
class Options:
    """Times training."""

    model: Literal["resnet20", "mlp"] = "resnet20"
    """Which network."""
    data: Literal["cifar10", "mnist", "digits"] | None = None
    """Default: cifar10 for resnet20, mnist for mlp, and digits where TFDS_DATA_DIR is not set."""
    parts: tuple[str, ...] = PARTS
    """What is measured: see above."""
    steps: tuple[int, ...] = ()
    """Lengths of an epoch for the loop, in steps. Default: 2 4 10, for mlp 20 100 400."""
    images: int | None = None
    """Training images for the other parts, at most. Default: 512, for mlp 6400."""
    pairs: int | None = None
    """Pairs of each comparison, at least 2. Default: 4, for mlp 15."""
    batch_size: int = 128
    """Images in a step."""
    augment: str = "autoaugment-cifar10"
    """Of the appended part."""
    width: int = 128
    """Hidden units of the MLP."""
    seed: int = 0
    """Of weights, order and augmentation."""
    out: str | None = None
    """JSON file to write the measurements into."""


class Subject:
    """The network, the data and the settings that all parts share."""

    def __init__(self, options: Options):
        """Loads the data."""
        self.options = options
        prepared = DATA[options.model] if os.environ.get("TFDS_DATA_DIR") else "digits"
        self.data = options.data or prepared
        pairs = PAIRS[options.model] if options.pairs is None else options.pairs
        check_at_least(pairs, 2, "pairs")
        self.pairs, self.warmup = pairs, WARMUP[options.model]
        self._train, self._test = (data.load_dataset(self.data, s) for s in ("train", "test"))
        classes = self._train.num_classes
        is_mlp = options.model == "mlp"
        self.module = models.MLP(classes, options.width) if is_mlp else models.CifarResNet(classes)
        self.network = models.linen_network(self.module)
        self.config = training.TrainingConfig(
            batch_size=options.batch_size, learning_rate=0.02, weight_decay=5e-4, seed=options.seed
        )

        self._bare_step = BareStep(self.module, self._train, self.config)
        most = min(options.images or IMAGES[options.model], len(self._train))
        check_at_least(most, options.batch_size, "images")
        self.full_steps = most // options.batch_size  # of the parts other than the loop
        self._plain: dict[int, TrainingRun] = {}

    def train_set(self, steps: int) -> data.Dataset:
        """As many steps of training images; images come again if there are too few."""
        places = np.arange(steps * self.options.batch_size) % len(self._train)
        return self._train.take(places)

    def test_set(self, train_set: data.Dataset) -> data.Dataset:
        """A fifth as many test images."""
        return self._test.take(np.arange(min(len(self._test), max(len(train_set) // 5, 1))))

    def run(self, train_set: data.Dataset, **options: Any) -> TrainingRun:
        """Our training."""
        return TrainingRun(self.network, train_set, self.config, **options)

    def plain(self, steps: int) -> TrainingRun:
        """Our training without selection, augmentation, evaluation; one run for all parts."""
        if steps not in self._plain:
            self._plain[steps] = self.run(self.train_set(steps))
        return self._plain[steps]

    def bare(self, steps: int) -> BareLoop:
        """Bare steps from the same weights."""
        train_set = self.train_set(steps)
        start = initial_state(self.network, train_set.example, self.config)
        weights = (start.params, start.state)
        return BareLoop(self._bare_step, train_set, self.options.batch_size, weights)

    def alternate(self, one: Callable[[], float], other: Callable[[], float]) -> dict[str, Any]:
        """Pairs of them, as many as the options say."""
        return alternate(one, other, self.pairs, self.warmup)

    def close(self) -> None:
        """Ends the plain runs."""
        for run in self._plain.values():
            run.close()


def alternate(
    one: Callable[[], float], other: Callable[[], float], pairs: int, warmup: int
) -> dict[str, Any]:
    """Seconds of both in turns, the wall's and the processor's, and the ratios of the pairs.

    Args:
      one: returns its seconds.
      other: likewise.
      pairs: how many, at least 2; every second one begins with `other`.
      warmup: turns that do not count.
    """
    for _ in range(warmup):
        one(), other()
    turns: list[tuple[int, float, float]] = []
    for pair in range(pairs):
        for who in (0, 1) if pair % 2 == 0 else (1, 0):
            processor = time.process_time()
            seconds = (one, other)[who]()
            turns.append((who, seconds, time.process_time() - processor))
    ones, others = ([turn[1:] for turn in turns if turn[0] == side] for side in (0, 1))
    walls, processors = (
        [a[clock] / b[clock] for a, b in zip(ones, others, strict=True)] for clock in (0, 1)
    )
    neighbours = zip(turns[1::2], turns[2::2], strict=False)  # the end of a pair, the next's begin
    return {
        "ones": ones,
        "others": others,
        "one": statistics.median(wall for wall, _ in ones),
        "other": statistics.median(wall for wall, _ in others),
        "ratio": statistics.median(walls),
        "least": min(walls),
        "most": max(walls),
        "processor_ratio": statistics.median(processors),
        "extra": statistics.median(a[0] - b[0] for a, b in zip(ones, others, strict=True)),
        "noise": statistics.median(abs(a[1] / b[1] - 1) for a, b in neighbours),
    }


def measure_loop(subject: Subject) -> list[dict]:
    """Our epoch against bare steps, for each length."""
    results = []
    for steps in subject.options.steps or STEPS[subject.options.model]:
        found = subject.alternate(subject.plain(steps).epoch, subject.bare(steps).epoch)
        results.append({"steps": steps, **found})
    return results


def measure_appended(subject: Subject) -> dict:
    """Training with an appended part against plain training; selection and evaluation besides."""
    train_set = subject.train_set(subject.full_steps)
    test_set = subject.test_set(train_set)
    method = training.MethodConfig(
        selector="coreset", fraction=FRACTION, augment=subject.options.augment
    )  # reselects before each epoch
    records: list[EpochRecord] = []
    with subject.run(train_set, method=method, test_set=test_set) as appended:

        def own_part() -> float:
            appended.epoch()
            record = appended.last
            assert record is not None
            records.append(record)
            return record.seconds_training + record.seconds_augmentation

        found = subject.alternate(own_part, subject.plain(subject.full_steps).epoch)
        del found["processor_ratio"]  # selection and evaluation would be in it
    parts = {
        name: statistics.median(getattr(r, f"seconds_{name}") for r in records[-subject.pairs :])
        for name in ("training", "augmentation", "selection", "evaluation")
    }
    rest = sum(parts.values()) - parts["selection"]
    return {
        **found,
        "images": len(train_set),
        "appended": records[0].examples - len(train_set),
        "test_images": len(test_set),
        "seconds": parts,
        "selection_share": {
            every: parts["selection"] / (parts["selection"] + every * rest)
            for every in (RESELECT_EVERY, 1)
        },
    }


def measure_wu(subject: Subject) -> dict:
    """The method of Wu et al. against its forward passes and steps."""
    train_set = subject.train_set(subject.full_steps)
    spec = f"wu-{subject.data}"
    method = training.MethodConfig(
        selector="all", augment=spec, placement="in-place", candidates=CANDIDATES, keep=1
    )
    bare = subject.bare(subject.full_steps)
    alone = candidates_alone(spec, train_set, CANDIDATES)
    with subject.run(train_set, method=method) as ours:
        found = subject.alternate(ours.epoch, lambda: bare.forward(CANDIDATES) + bare.epoch())
        alone()  # compiles
        drawing = alternate(alone, ours.epoch, 2, warmup=0)
    return {
        **found,
        "images": len(train_set),
        "candidates": CANDIDATES,
        "drawing": drawing,
    }


def measure_torch(subject: Subject) -> dict | str:
    """The loop against PyTorch's, or why not."""
    if importlib.util.find_spec("torch") is None:
        return "PyTorch is not installed (pip install -e '.[bench]'): not compared"
    if jax.default_backend() != "cpu":
        return f"JAX runs on {jax.default_backend()}: PyTorch, on the CPU, is not compared"
    train_set = subject.train_set(subject.full_steps)
    options = subject.options
    theirs = TorchLoop(options.model, options.width, train_set, subject.config)
    found = subject.alternate(subject.plain(subject.full_steps).epoch, theirs.epoch)
    return {**found, "images": len(train_set), "version": theirs.version}


def main(options: Options) -> dict:
    """Measures, prints, writes."""
    for part in options.parts:
        check_choice(part, PARTS, "part")
    subject = Subject(options)
    report = {
        **asdict(options),
        "data": subject.data,
        "pairs": subject.pairs,
        "cores": len(os.sched_getaffinity(0)),
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
    }
    measures = dict(
        zip(PARTS, (measure_loop, measure_appended, measure_wu, measure_torch), strict=True)
    )
    for part in options.parts:
        report[part] = measures[part](subject)
    subject.close()
    print_results(report)
    if options.out:
        Path(options.out).write_text(json.dumps(report, indent=2) + "\n")
    return report


if __name__ == "__main__":
    try:
        main(tyro.cli(Options, description=__doc__))
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
