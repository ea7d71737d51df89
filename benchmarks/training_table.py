"""The table of `benchmarks.training`."""

import numpy as np
from rich.console import Console
from rich.table import Table


def print_results(report: dict) -> None:
    """One table, and what it does not say."""
    title = "Training: {model}, {data}, batch {batch_size}, {cores} cores".format(**report)
    columns = ("ours", "beside it", "ratio", "least..most", "processor", "same twice")
    table = Table(title=title)
    for column in ("", *columns):
        table.add_column(column, no_wrap=True)
    console = Console(width=160)
    notes = []

    def row(name, found, unit, scale):
        cells = [f"{scale * found[side]:.4g} {unit}" for side in ("one", "other")]
        spread = f"{found['least']:.3f}..{found['most']:.3f}"
        processor = f"{found['processor_ratio']:.3f}" if "processor_ratio" in found else ""
        ratios = (f"{found['ratio']:.3f}", spread, processor)
        table.add_row(name, *cells, *ratios, f"{found['noise']:.1%}")

    for found in report.get("loop", ()):
        scale = 1e3 / found["steps"]
        row(f"loop against bare steps, {found['steps']} of them", found, "ms/step", scale)
    if len(report.get("loop", ())) > 1:
        lengths, extras = ([found[name] for found in report["loop"]] for name in ("steps", "extra"))
        per_step, per_epoch = np.polyfit(lengths, extras, 1)
        notes.append(
            f"The loop's own part: {1e3 * per_epoch:.2f} ms an epoch and {1e6 * per_step:.0f} "
            "microseconds a step (a line through the medians of the differences)."
        )
    if found := report.get("appended"):
        fraction = found["appended"] / found["images"]
        name = f"{fraction:.0%} appended against plain, {found['images']} images"
        row(name, found, "s/epoch", 1)
        rates = (
            ("selection from", found["images"], "selection"),
            ("augmentation of", found["appended"], "augmentation"),
            ("evaluation of", found["test_images"], "evaluation"),
        )
        for name, images, part in rates:
            seconds = found["seconds"][part]
            per_image = f"{1e3 * seconds / images:.4g} ms/image"
            table.add_row(f"  {name} {images} images", f"{seconds:.4g} s", per_image)
        for every, share in found["selection_share"].items():
            table.add_row(f"  selection, R = {every}", f"{share:.1%} of the run")
        notes.append(f"An appended {fraction:.0%} may cost {(1 + fraction) * 1.1:.2f} x plain.")
    if found := report.get("wu"):
        scale = 1e3 / found["images"]
        name = f"Wu et al. against {found['candidates']} forward + 1 step, {found['images']} images"
        row(name, found, "ms/image", scale)
        row("  drawing the candidates against all of it", found["drawing"], "ms/image", scale)
    if isinstance(found := report.get("torch"), dict):
        own, theirs = (found["images"] / found[side] for side in ("one", "other"))
        rates = {**found, "one": own, "other": theirs, "ratio": 1 / found["ratio"]}
        rates |= {"least": 1 / found["most"], "most": 1 / found["least"]}
        rates["processor_ratio"] = 1 / found["processor_ratio"]
        row(f"loop against PyTorch {found['version']}", rates, "images/s", 1)
    elif found:
        notes.append(found)
    console.print(table)
    for note in notes:
        console.print(note, markup=False)
