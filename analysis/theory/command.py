"""`python -m analysis theory`: checks every statement of the paper, as printed and corrected."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np

from analysis.common.options import earlier_output
from analysis.theory.network import print_cost, study_network
from analysis.theory.options import TheoryOptions, check_options, network_statements
from analysis.theory.output import MARKER, draw_outputs, print_tables, read_theory, write_theory
from analysis.theory.records import statement_record
from ntk_aug import records, theory
from ntk_aug.progress import progress_bars


def run_theory(options: TheoryOptions) -> None:
    """Runs the command; raises InputError for a user's mistake."""
    if options.from_ is not None:
        return redraw(earlier_output(options.from_))
    records.check_free_folder(options.out, marker=MARKER, overwrite=options.overwrite)
    options = check_options(options)
    chosen, on_network = theory.chosen_statements(options.only), network_statements(options)
    if options.dry_run:
        return print_cost(options, on_network)
    start = time.perf_counter()
    network: dict[str, Any] | None = None
    arrays: dict[str, np.ndarray] = {}
    with progress_bars() as progress:
        if on_network:
            network, arrays = study_network(options, on_network, progress)
        statements = {}
        for done, number in enumerate(chosen):
            progress("statements", done, len(chosen))
            report = theory.check_statement(
                jax.random.key(options.seed), number, instances=options.instances
            )
            statements[number] = statement_record(report)
        progress("statements", len(chosen), len(chosen))
    summary = {
        "options": asdict(options),
        "statements": statements,
        "network": network,
        "seconds": time.perf_counter() - start,
        "environment": records.environment(),
    }
    with records.staged_folder(options.out, marker=MARKER, overwrite=options.overwrite) as folder:
        write_theory(folder, summary, arrays)
        draw_outputs(folder, *read_theory(folder))
    print_tables(Path(options.out), summary)
    return None


def redraw(folder: Path) -> None:
    """Draws figures and page and prints the tables from the files of an earlier run."""
    summary, arrays = read_theory(folder)
    draw_outputs(folder, summary, arrays)
    print_tables(folder, summary)
