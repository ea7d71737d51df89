"""Entry point: `python -m experiments list | run | sweep | show | compare | time`."""

import sys

from experiments.catalogue import ListOptions, list_presets
from experiments.compare import CompareOptions, compare_runs
from experiments.run import RunOptions, run
from experiments.show import ShowOptions, show_run
from experiments.sweep import SweepOptions, sweep
from experiments.timing import TimeOptions, time_presets
from ntk_aug.programs import Command, run_program

COMMANDS: dict[str, Command] = {
    "list": (ListOptions, list_presets),
    "run": (RunOptions, run),
    "sweep": (SweepOptions, sweep),
    "show": (ShowOptions, show_run),
    "compare": (CompareOptions, compare_runs),
    "time": (TimeOptions, time_presets),
}

if __name__ == "__main__":
    description = "Train networks by preset, or on data of your own."
    sys.exit(run_program("python -m experiments", description, COMMANDS))
