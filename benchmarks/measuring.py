"""What measurements share: one core, seconds, memory, the rate of the machine, a child's result."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

# One thread for each library that asks the environment.
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def child_result(module: str, arguments: Sequence[str], **environment: str) -> dict | None:
    """The line of JSON that a process of its own prints last; None if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, **THREADS, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        print(f"{' '.join(arguments)}: exit status {done.returncode}", file=sys.stderr)
        return None
    result = json.loads(done.stdout.splitlines()[-1])
    print(result, flush=True)
    return result


def one_core() -> None:
    """Keeps this process, and the threads that it will start, on one core."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def timed(run: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Seconds, and the result."""
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def difference(values: np.ndarray, reference: Path) -> float:
    """max|a - b| / max|b| to the first method's, which is saved."""
    if not reference.exists():
        np.save(reference, values)
    expected = np.load(reference)
    return float(np.abs(values - expected).max() / np.abs(expected).max())


def product_rates(side: int = 1500) -> dict[str, float]:
    """GFLOP/s of products of square matrices by XLA, in float32 and in float64."""
    import jax
    import jax.numpy as jnp

    rates = {}
    with jax.enable_x64(True):
        for dtype in ("float32", "float64"):
            matrix = jnp.ones((side, side), dtype)
            product = jax.jit(lambda x: jnp.matmul(x, x, precision="highest"))
            product(matrix).block_until_ready()
            seconds = min(
                timed(lambda: product(matrix).block_until_ready())[0]  # noqa: B023
                for _ in range(5)
            )
            rates[dtype] = 2 * side**3 / seconds / 1e9
    return rates


def memory_gib(field: str) -> float:
    """This process's memory: VmRSS now, or VmHWM at the peak since `reset_peak`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 2**20
    raise ValueError(f"the system does not tell {field}")


def reset_peak() -> None:
    """Begins a new peak of this process's memory."""
    Path("/proc/self/clear_refs").write_text("5")
