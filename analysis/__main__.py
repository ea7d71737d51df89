"""Entry point: `python -m analysis COMMAND`; exit status 2 and one line for a usage error."""

import sys

from analysis.augment.command import AugmentOptions, run_augment
from analysis.figures.command import FiguresOptions, run_figures
from analysis.report.command import ReportOptions, run_report
from analysis.select.command import run_select
from analysis.select.options import SelectOptions
from analysis.spectrum.command import run_spectrum
from analysis.spectrum.options import SpectrumOptions
from analysis.tables.command import TablesOptions, run_tables
from analysis.theory.command import run_theory
from analysis.theory.options import TheoryOptions
from ntk_aug.programs import Command, run_program

COMMANDS: dict[str, Command] = {
    "spectrum": (SpectrumOptions, run_spectrum),
    "augment": (AugmentOptions, run_augment),
    "select": (SelectOptions, run_select),
    "theory": (TheoryOptions, run_theory),
    "tables": (TablesOptions, run_tables),
    "figures": (FiguresOptions, run_figures),
    "report": (ReportOptions, run_report),
}

if __name__ == "__main__":
    sys.exit(run_program("python -m analysis", "What augmentation does to a network.", COMMANDS))
