"""A real process, killed at any moment and started again, ends as one that never was."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import killed_run
import numpy as np
import pytest

from ntk_aug import models, training
from ntk_aug.training.checkpoint import restore_checkpoint
from ntk_aug.training.initial import initial_state

SCRIPT = Path(killed_run.__file__)
MOMENTS = ("selects", "writes", "writes the manifest", "epoch")


def start(folder, cache, size):
    environment = {
        **os.environ,
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "PYTHONPATH": os.pathsep.join(str(SCRIPT.parents[n]) for n in (0, 1, 2)),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    command = [sys.executable, str(SCRIPT), str(folder), size]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def killed_at(folder, cache, size, moment, delay):
    """Starts the run and kills it at its second such moment, or later; whether it was killed."""
    with start(folder, cache, size) as process:
        seen = 0
        for line in process.stdout:
            seen += line.startswith(moment)
            if seen == 2:
                time.sleep(delay)
                process.send_signal(signal.SIGKILL)
        process.wait()
        return process.returncode == -signal.SIGKILL


def check_ends_as_never_killed(tmp_path, size, kills):
    folder, cache, rng = tmp_path / "run", tmp_path / "cache", random.Random(0)
    was_killed = [killed_at(folder, cache, size, moment, rng.uniform(0, 0.05)) for moment in kills]
    assert sum(was_killed) >= 3
    with start(folder, cache, size) as process:
        process.communicate()
    assert process.returncode == 0

    whole = killed_run.run(tmp_path / "whole", size)
    model, options, _ = killed_run.SIZES[size]
    network = models.build_network(model, 3, **options)
    runs = [training.RunFolder.read(tmp_path / name) for name in ("run", "whole")]
    example = killed_run.data.load_dataset("digits", "train").example
    like = initial_state(network, example, killed_run.CONFIG)._asdict()
    ends = [restore_checkpoint(r.checkpoints, r.epochs()[-1], like).tree for r in runs]
    for one, other in zip(*map(jax.tree.leaves, ends), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(
        jax.tree.leaves(ends[0]["params"]), jax.tree.leaves(whole.params), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    histories = [[record.without_seconds() for record in run.history()] for run in runs]
    assert histories[0] == histories[1]
    assert len(histories[0]) == killed_run.CONFIG.epochs
    assert runs[0].selection_epochs() == runs[1].selection_epochs() == [0, 2, 4]
    for epoch in (0, 2, 4):
        one, other = (run.selection(epoch) for run in runs)
        assert set(one) == set(other)
        for name, array in one.items():
            np.testing.assert_array_equal(array, other[name])
    results = [{**run.result(), "seconds": None} for run in runs]
    assert results[0] == results[1]
    assert not list((folder / "checkpoints").glob(".partial*"))
    assert runs[0].environment["resumed"]


def test_a_run_killed_three_times_ends_as_one_that_never_was(tmp_path):
    check_ends_as_never_killed(tmp_path, "small", ("selects", "writes the manifest", "epoch"))


@pytest.mark.slow
def test_a_run_killed_ten_times_ends_as_one_that_never_was(tmp_path):
    moments = random.Random(1).choices(MOMENTS, k=10)
    check_ends_as_never_killed(tmp_path, "large", moments)
