"""Entry point: `python -m analysis COMMAND`; exit status 2 and one line for a usage error."""

import sys

from analysis.spectrum import run_spectrum
from analysis.spectrum_options import SpectrumOptions
from ntk_aug.programs import run_program

COMMANDS = {"spectrum": (SpectrumOptions, run_spectrum)}

if __name__ == "__main__":
    sys.exit(run_program("python -m analysis", "What augmentation does to a network.", COMMANDS))
