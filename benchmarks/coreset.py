"""Facility location beside submodlib, apricot and plain numpy: `python -m benchmarks.coreset`.

Ours goes from gradients to weights; peers are given the similarity, the largest distance less the
distance, and how long that takes to compute is reported apart. All maximise the same objective,
which is compared in float64. All are timed on one core, in turns, in processor time.
"""

import functools
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from benchmarks.coreset_peers import (
    CASES,
    PEERS,
    Case,
    gradients_of,
    joined,
    objective,
    real_gradients,
    select_apricot,
    select_ours,
    select_submodlib_from_gradients,
    similarity,
    synthetic_gradients,
)
from benchmarks.measuring import child_result, one_core

GROWTH_WITH_N = (1000, 2000, 4000, 8000)
GROWTH_WITH_K = (50, 150, 500, 1500, 2500)


@dataclass(frozen=True)
class Options:
    """Times facility location."""

    cases: tuple[str, ...] = ("one-class", "one-class-weights", "tinyimagenet", "caltech256")
    """Which cases: those of the default, and cifar10 (all cores), imagenet, large-class."""
    peers: tuple[str, ...] = tuple(PEERS)
    """Which peers: submodlib, apricot (install the extra `bench`), numpy lazy."""
    data: str | None = None
    """mnist or cifar10: real gradients of class 0, for the cases of one class."""
    repeats: int = 3
    """Rounds that are timed; the median counts."""
    algorithm: str = "incremental"
    """Of ours, for the cases without peers."""
    memory: bool = False
    """Measure the peak memory of one class of 5,000, whole and with a tenth of it as budget."""
    growth: bool = False
    """Measure how ours grows with n and with k, too."""
    out: str | None = None
    """JSON file to write the measurements into."""


def main(options: Options) -> None:
    """Runs all that is asked for."""
    results = []
    for name in options.cases:
        case = CASES[name]
        if options.data and case.classes > 1:
            raise SystemExit("--data is for cases of one class")
        if case.peers:
            one_core()
            results += compare(name, case, options)
        else:
            results.append(in_child(name, options.algorithm))
    memory = []
    if options.memory:
        whole = 4 * CASES["one-class"].size ** 2
        memory = [in_child("one-class", memory_bytes=budget) for budget in (2**31, whole // 10)]
    grown = growth() if options.growth else {}
    print_results([result for result in results if result and "method" in result])
    if options.out:
        record = {
            "options": asdict(options),
            "versions": versions(),
            "results": results,
            "memory": memory,
            "growth": grown,
        }
        Path(options.out).write_text(json.dumps(record, indent=2) + "\n")


def compare(name: str, case: Case, options: Options) -> list[dict]:
    """Ours and the peers on one case: one result for each method and fraction."""
    classes = [real_gradients(options.data, case)] if options.data else gradients_of(case)
    factors, labels = joined(classes)
    similarities, building = timed(lambda: [similarity(own) for own in classes])
    results = []
    for position, fraction in enumerate(case.fractions):
        k = round(fraction * case.size)

        def by_ours(fraction=fraction):
            found = select_ours(factors, labels, fraction, num_threads=1)
            return [one.indices for one in found.by_class]

        def by_peer(select, k=k):
            return [select(S, k) for S in similarities]

        methods: dict[str, Callable[[], list]] = {"ours": by_ours}
        methods |= {peer: functools.partial(by_peer, PEERS[peer]) for peer in options.peers}
        if "submodlib" in options.peers and not case.width:
            methods["submodlib, its own kernel"] = lambda k=k: [
                select_submodlib_from_gradients(own.outer, k) for own in classes
            ]
        rounds = {method: [timed(run)] for method, run in methods.items()}  # the first is cold
        for _ in range(options.repeats):
            for method, run in methods.items():
                rounds[method].append(timed(run))
        ours = statistics.median(seconds for _, seconds in rounds["ours"][1:])
        best = objective(classes, rounds["ours"][0][0])
        for method, timings in rounds.items():
            seconds = [taken for _, taken in timings[1:]]
            results.append(
                {
                    "case": name,
                    "fraction": fraction,
                    "method": method,
                    "seconds": statistics.median(seconds),
                    "least": min(seconds),
                    "most": max(seconds),
                    "first_call": timings[0][1],
                    "ratio": statistics.median(seconds) / ours,
                    "objective_ratio": objective(classes, timings[0][0]) / best,
                    "similarity_seconds": 0.0 if method == "ours" else building,
                    "paper_ratio": case.paper[position] / ours if case.paper else None,
                }
            )
            if method == "apricot":  # it compiles in every call: what a tiny problem takes
                compiling = len(classes) * compilation_seconds()
                results[-1]["compilation_seconds"] = compiling
                results[-1]["warm_ratio"] = (results[-1]["seconds"] - compiling) / ours
    return results


def compilation_seconds() -> float:
    """What apricot takes for ten examples."""
    S = similarity(synthetic_gradients(1, 10, 3)[0])
    return min(timed(lambda: select_apricot(S, 2))[1] for _ in range(3))


def timed(run: Callable[[], list]) -> tuple[list, float]:
    """The result, and the seconds of processor time."""
    start = time.process_time()
    result = run()
    return result, time.process_time() - start


def in_child(name: str, algorithm: str = "incremental", memory_bytes: int = 2**31) -> dict | None:
    """Seconds and memory of ours in a process that did nothing before."""
    return child_result("benchmarks.coreset_memory", [name, algorithm, str(memory_bytes)])


def growth() -> dict:
    """Seconds of ours by n (a tenth selected) and by k (of 5,000), and the exponents."""
    one_core()
    by_n, by_k = {}, {}
    for n in GROWTH_WITH_N:
        factors, labels = joined(synthetic_gradients(1, n, 10))
        runs = [timed(lambda: select_ours(factors, labels, 0.1))[1] for _ in range(3)]  # noqa: B023
        by_n[n] = min(runs)
    factors, labels = joined(synthetic_gradients(1, 5000, 10))
    for k in GROWTH_WITH_K:
        runs = [timed(lambda: select_ours(factors, labels, k / 5000))[1] for _ in range(3)]  # noqa: B023
        by_k[k] = min(runs)
    exponents = [np.polyfit(np.log(list(t)), np.log(list(t.values())), 1)[0] for t in (by_n, by_k)]
    found = {"n": by_n, "k": by_k, "exponent_n": exponents[0], "exponent_k": exponents[1]}
    print(found, flush=True)
    return found


def versions() -> dict[str, str]:
    """Of Python and of what is compared."""
    names = ("numpy", "scipy", "submodlib-py", "apricot-select")
    found = {"python": sys.version.split()[0]}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def print_results(results: list[dict]) -> None:
    """A line for each method."""
    table = Table("case", "fraction", "method", "seconds", "/ ours", "first", "F / ours", "paper /")
    for result in results:
        paper = result["paper_ratio"]
        table.add_row(
            result["case"],
            f"{result['fraction']:g}",
            result["method"],
            f"{result['seconds']:.3f}",
            f"{result['ratio']:.2f}"
            + (f" (warm {result['warm_ratio']:.2f})" if "warm_ratio" in result else ""),
            f"{result['first_call']:.3f}",
            f"{result['objective_ratio']:.9f}",
            "" if paper is None or result["method"] != "ours" else f"{paper:.0f}x",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main(tyro.cli(Options))
