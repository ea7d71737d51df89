"""Facility location beside the peers: `python -m benchmarks.coreset --shape one-class`.

Ours goes from gradients to weights; the peers are given the similarity, max D - D in float32, whose
making is shown beside. All methods take turns in one process on one core, `cifar10` excepted, which
is on all cores. What counts is the median of the processor's time (on one
core that of an idle machine), on all cores of the wall's. Objectives are computed in float64 from
what each selected; where float32 leaves a tie, a peer may go another way (5e-6 of the objective
at Caltech256's shape, where ours is the greedy in float64).
"apricot, warm" keeps what it compiled, which apricot itself does in no call;
"submodlib, own kernel" selects by another similarity. Peak memory is what a process of its own
takes on top of what it had: in n x n float32 matrices, or of several classes in GiB; the second of
the two is with a tenth of one matrix as the budget. ImageNet's shape has gradients of 64 columns,
as after a projection: all logits of all its images would be 10 GiB.
The peers come with `pip install -e '.[bench]'`.
"""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from benchmarks import coreset_gradients, coreset_peers
from benchmarks.measuring import child_result, memory_gib, one_core, reset_peak
from ntk_aug import coreset
from ntk_aug.checks import check_choice
from ntk_aug.coreset.facility.facility_location import DEFAULT_MEMORY_BYTES


@dataclass(frozen=True)
class Case:
    """Classes of one size, and how much of each is selected."""

    shape: str
    num_classes: int
    size: int
    count: int
    """Of each class, on average."""
    num_outputs: int = 10
    all_cores: bool = False
    peers: bool = True


def _table_5(shape, num_classes, size):
    counts = (round(fraction * size) for fraction in (0.1, 0.3, 0.5))
    return [Case(shape, num_classes, size, count, num_classes) for count in counts]


SHAPES = {
    "one-class": [Case("one-class", 1, 5000, k) for k in (500, 1500)],
    "tinyimagenet": _table_5("tinyimagenet", 200, 500),
    "caltech256": _table_5("caltech256", 257, 60),
    "cifar10": [Case("cifar10", 10, 5000, 1500, all_cores=True, peers=False)],
    "imagenet": [Case("imagenet", 1000, 1300, 130, 64, peers=False)],
    "large-class": [Case("large-class", 1, 100_000, 1000, peers=False)],
    "growth": [Case("growth-n", 1, n, n // 10) for n in (1000, 2000, 4000, 8000)]
    + [Case("growth-k", 1, 5000, k) for k in (50, 250, 500, 1000, 2500)],
}
PAPER_SECONDS = {"tinyimagenet": (7.85, 8.09, 8.17), "caltech256": (10.50, 10.52, 10.53)}
"""Table 5 of the paper, at 10, 30 and 50 %: on another machine."""
OURS = "ntk_aug"


@dataclass(frozen=True)
class Options:
    """Times facility location by each method."""

    shape: str = "one-class"
    """One of SHAPES, or all."""
    data: str = "synthetic"
    """synthetic, or mnist or cifar10 (prepared) for shapes of at most ten classes."""
    weights: bool = False
    """Gradients of the last layer's weights (width 64), not of its logits."""
    repeats: int = 3
    """Turns that are timed, after a first one."""
    memory: bool = True
    """Measure peak memory: of the default budget, and of a tenth of one matrix."""
    peers: bool = True
    """Measure the peers too."""
    out: str | None = None
    """JSON file to write the measurements into."""
    child: str | None = None
    """Measure this one case in this process: how the others are called."""


def main(options: Options) -> None:
    """Measures each case in processes of its own."""
    if options.child:
        child = json.loads(options.child)
        case = Case(**child["case"])
        run = measure_memory if "budget" in child else measure
        arguments = [child["budget"]] if "budget" in child else []
        print(json.dumps(run(case, options, *arguments)))
        return
    check_choice(options.shape, (*SHAPES, "all"), "shape")
    check_choice(options.data, ("synthetic", "mnist", "cifar10"), "data")
    cases = [
        case
        for shape, its_cases in SHAPES.items()
        if options.shape in (shape, "all")
        for case in its_cases
    ]
    results = []
    for case in cases:
        result = _child(options, {"case": asdict(case)})
        if result is not None and options.memory:
            matrix = 4 * case.size**2
            budgets = {"peak": DEFAULT_MEMORY_BYTES, "peak of a tenth": matrix // 10}
            for name, budget in budgets.items():
                peak = _child(options, {"case": asdict(case), "budget": budget})
                if peak is not None:
                    result[name] = peak["peak_gib"] * 2**30 / matrix
                    result[f"{name}, GiB"] = peak["peak_gib"]
        if result is not None:
            results.append(result)
    print_results(results)
    if options.out:
        report = {"options": asdict(options), "results": results}
        Path(options.out).write_text(json.dumps(report, indent=2) + "\n")


def _child(options, what):
    arguments = ["--child", json.dumps(what), "--data", options.data]
    arguments += ["--repeats", str(options.repeats)]
    arguments.append("--weights" if options.weights else "--no-weights")
    arguments.append("--peers" if options.peers else "--no-peers")
    return child_result("benchmarks.coreset", arguments)


def gradients_of(case: Case, options: Options):
    """(gradients, labels) of a case."""
    if options.data == "synthetic":
        return coreset_gradients.synthetic(
            case.num_classes, case.size, case.num_outputs, options.weights
        )
    return coreset_gradients.real(options.data, case.num_classes, case.size, options.weights)


def ours(case: Case, gradients, labels, memory_bytes: int = DEFAULT_MEMORY_BYTES):
    """From gradients to weights."""
    return coreset.facility_location_per_class(
        gradients,
        labels,
        count=case.count * case.num_classes,
        num_threads=None if case.all_cores else 1,
        memory_bytes=memory_bytes,
        backend="host",
    )


def measure(case: Case, options: Options) -> dict:
    """Seconds of all methods in turns: the first turn, then the median, least and most."""
    if not case.all_cores:
        one_core()
    gradients, labels = gradients_of(case, options)
    methods: dict[str, Callable] = {OURS: lambda: ours(case, gradients, labels)}
    rows, similarities = [], []
    making = 0.0
    if case.peers and options.peers:
        rows = [
            coreset_gradients.rows_of(gradients.take(np.flatnonzero(labels == number)))
            for number in range(case.num_classes)
        ]
        start = time.process_time()
        similarities = [coreset_peers.similarity(own) for own in rows]
        making = time.process_time() - start
        for name, function in coreset_peers.PEERS.items():
            if name == "apricot" and case.num_classes > 1:
                continue  # it compiles anew for each class
            methods[name] = lambda f=function: [f(S, case.count) for S in similarities]
        if case.num_classes == 1:
            methods["submodlib, own kernel"] = lambda: [
                coreset_peers.submodlib_own_kernel(rows[0], case.count)
            ]
    seconds, selected = alternate(methods, options.repeats)
    own = _by_class(selected[OURS], labels)
    selected[OURS] = own
    values = {
        name: sum(coreset_peers.objective(g, places) for g, places in zip(rows, found, strict=True))
        for name, found in selected.items()
        if rows
    }
    return {
        **asdict(case),
        "similarity": making,
        "methods": {
            name: {
                "first": first,
                **{
                    clock: {
                        "median": statistics.median(times),
                        "least": min(times),
                        "most": max(times),
                    }
                    for clock, times in (("wall", walls), ("processor", processor))
                },
                "objective": values[name] / values[OURS] if values else None,
            }
            for name, (first, walls, processor) in seconds.items()
        },
    }


def _by_class(selection, labels):
    """The places of the selected examples within each class."""
    return [
        np.searchsorted(
            np.flatnonzero(labels == number), selection.indices[selection.labels == number]
        )
        for number in range(labels.max() + 1)
    ]


def alternate(methods: dict[str, Callable], repeats: int):
    """(first call, wall's seconds, processor's seconds) of each in turns, and what each gave."""
    seconds: dict[str, tuple[float, list[float], list[float]]] = {}
    selected = {}
    for turn in range(repeats + 1):
        for name, method in methods.items():
            wall, processor = time.perf_counter(), time.process_time()
            selected[name] = method()
            processor, wall = time.process_time() - processor, time.perf_counter() - wall
            if turn == 0:
                seconds[name] = (wall, [], [])
            else:
                seconds[name][1].append(wall)
                seconds[name][2].append(processor)
    return seconds, selected


def measure_memory(case: Case, options: Options, budget: int) -> dict:
    """GiB at the peak on top of the process with its gradients."""
    if not case.all_cores:
        one_core()
    gradients, labels = gradients_of(case, options)
    small = np.flatnonzero(np.arange(len(labels)) % case.size < 20)
    ours(Case("", case.num_classes, 20, 2), gradients.take(small), labels[small])  # loads all
    before = memory_gib("VmRSS")
    reset_peak()
    ours(case, gradients, labels, budget)
    return {"peak_gib": memory_gib("VmHWM") - before}


def print_results(results: list[dict]) -> None:
    """Prints a table, the paper's times and how the time grows."""
    columns = ("shape", "k", "method", "s", "least..most", "wall, s", "x ours", "first, s")
    table = Table(*columns, "objective", "peak", title="Facility location")
    console = Console(width=140)
    for result in results:
        shape = f"{result['shape']} {result['num_classes']} x {result['size']}"
        for name, method in result["methods"].items():
            time_of = method[clock(result)]
            cells = [shape, str(result["count"]), name, f"{time_of['median']:.3f}"]
            cells += [f"{time_of['least']:.3f}..{time_of['most']:.3f}"]
            cells += [f"{method['wall']['median']:.3f}", f"{times_ours(result, name):.2f}"]
            cells += [f"{method['first']:.2f}"]
            cells += ["-" if method["objective"] is None else f"{method['objective'] - 1:+.1e}"]
            unit = "" if result["num_classes"] == 1 else ", GiB"
            peaks = [result.get(which + unit) for which in ("peak", "peak of a tenth")]
            cells.append(
                " / ".join("-" if p is None else f"{p:.2g}{unit}" for p in peaks)
                if name == OURS
                else ""
            )
            table.add_row(*cells)
        if result["similarity"]:
            table.add_row(shape, "", "(similarity)", f"{result['similarity']:.3f}")
    console.print(table)
    for shape, seconds in PAPER_SECONDS.items():
        own = [result for result in results if result["shape"] == shape]
        for result, paper in zip(own, seconds, strict=False):
            factor = paper / result["methods"][OURS][clock(result)]["median"]
            console.print(f"{shape}, k = {result['count']}: the paper's {paper} s, {factor:.0f}x")
    for what, shape in (("size", "growth-n"), ("count", "growth-k")):
        points = [result for result in results if result["shape"] == shape]
        for name in points[0]["methods"] if len(points) > 1 else ():
            console.print(f"{name}: time grows as {what}^{exponent(points, what, name):.2f}")


def clock(result: dict) -> str:
    """Which time counts."""
    return "wall" if result["all_cores"] else "processor"


def times_ours(result: dict, name: str) -> float:
    """How many times as long as ours a method takes."""
    seconds = {method: found[clock(result)] for method, found in result["methods"].items()}
    return seconds[name]["median"] / seconds[OURS]["median"]


def exponent(points: list[dict], what: str, name: str) -> float:
    """The slope of the line through log(seconds) over log(n) or log(k)."""
    seconds = [point["methods"][name][clock(point)]["median"] for point in points]
    sizes = [point[what] for point in points]
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
