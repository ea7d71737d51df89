"""Time and peak memory of one selection, in a process of its own that did nothing before."""

import json
import sys
import time

import jax
import numpy as np

from benchmarks.coreset_peers import CASES, gradients_of, joined, select_ours
from benchmarks.measuring import memory_gib, reset_peak


def measure(name: str, algorithm: str, memory_bytes: int) -> dict:
    """Selects the case's first fraction of each class, on all cores."""
    case = CASES[name]
    factors, labels = joined(gradients_of(case))
    some = np.arange(min(1000, len(factors)))
    select_ours(factors.take(some), np.zeros(len(some), int), 0.1)  # imports, buffers of BLAS
    before = memory_gib("VmRSS")
    reset_peak()
    start, start_cpu = time.perf_counter(), time.process_time()
    found = select_ours(
        factors,
        labels,
        case.fractions[0],
        algorithm=algorithm,
        algorithm_key=jax.random.key(0),
        memory_bytes=memory_bytes,
    )
    peak = memory_gib("VmHWM")
    return {
        "case": name,
        "algorithm": algorithm,
        "fraction": case.fractions[0],
        "memory_bytes": memory_bytes,
        "wall_seconds": time.perf_counter() - start,
        "processor_seconds": time.process_time() - start_cpu,
        "process_gib": peak,
        "selection_gib": peak - before,
        "per_float32_matrix": (peak - before) * 2**30 / (4 * case.size**2),
        "estimate": found.estimate,
    }


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
