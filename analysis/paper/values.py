"""The values that the paper prints in its tables, and those that its text states.

This is the only file with numbers of the paper. Each block has a line per row of the table and a
column per column of it: the mean, and the standard deviation after "+-" where it is printed.
"""

from typing import NamedTuple


class PaperValue(NamedTuple):
    """A printed value.

    Attributes:
      mean: as printed.
      std: standard deviation over the paper's 5 runs; None where none is printed.
      unit: "%", "x" or "s".
      source: where it is printed.
    """

    mean: float
    std: float | None
    unit: str
    source: str

    @property
    def text(self) -> str:
        """The value as text, both parts with as many decimals as one of them needs."""
        parts = [self.mean] if self.std is None else [self.mean, self.std]
        digits = max(len(f"{part:.3f}".rstrip("0").partition(".")[2]) for part in parts)
        return " +- ".join(f"{part:.{digits}f}" for part in parts) + f" {self.unit}"


Block = dict[tuple[str, str], PaperValue]
"""From row and column to the value."""


def _block(source: str, unit: str, columns: tuple[str, ...], lines: str) -> Block:
    """Reads a table of text; "-" stands for a value that is not printed or not legible."""
    values = {}
    for line in lines.strip().splitlines():
        row, *cells = (cell.strip() for cell in line.split("|"))
        for column, cell in zip(columns, cells, strict=True):
            if cell != "-":
                mean, _, std = cell.partition("+-")
                values[row, column] = PaperValue(
                    float(mean), float(std) if std else None, unit, source
                )
    return values


CIFAR10, SVHN = "CIFAR10/ResNet20", "SVHN/ResNet32"
IMB100, IMB10 = (f"CIFAR10-IMB/ResNet32, imbalance {imbalance}" for imbalance in ("100", "10"))
WRN, CALTECH = "CIFAR10/WRN-28-10", "Caltech256/ResNet18"
CALTECH_SCRATCH = "Caltech256/ResNet50, from scratch"
CALTECH_TIMES, TINYIMAGENET = "Caltech256", "TinyImageNet"

# The paper states imbalance 100. Its 87 % is far above what a ResNet32 is known to reach there, and
# is about what it reaches at imbalance 10. So the printed values stand beside runs of either.
_T1 = """
none        | 89.46+-0.17 | 87.08+-0.50 | 87.08+-0.50 | 95.676+-0.108
random 5 %  | 90.34+-0.18 | 88.48+-0.25 | 88.48+-0.25 | 95.760+-0.084
random 10 % | 91.07+-0.13 | 89.52+-0.15 | 89.52+-0.15 | 96.187+-0.112
random 30 % | 92.11+-0.12 | 91.11+-0.18 | 91.11+-0.18 | 96.569+-0.073
max-loss 5 %  | 90.79+-0.19 | 88.77+-0.35 | 88.77+-0.35 | 96.165+-0.108
max-loss 10 % | 91.39+-0.08 | 89.22+-0.48 | 89.22+-0.48 | 96.370+-0.076
max-loss 30 % | 92.43+-0.07 | 91.11+-0.25 | 91.11+-0.25 | 96.735+-0.068
coreset 5 %  | 90.87+-0.05 | 89.10+-0.41 | 89.10+-0.41 | 96.121+-0.055
coreset 10 % | 91.54+-0.19 | 89.75+-0.52 | 89.75+-0.52 | 96.354+-0.091
coreset 30 % | 92.49+-0.15 | 91.12+-0.26 | 91.12+-0.26 | 96.791+-0.051
all         | 93.50+-0.25 | 92.48+-0.34 | 92.48+-0.34 | 97.068+-0.030
"""
_T2 = """
0.1 % of CIFAR10/ResNet20 | 31.7+-3.2 | 33.5+-2.7 | 29.6+-3.8 | 37.8+-4.5
0.2 % of CIFAR10/ResNet20 | 35.9+-2.1 | 42.7+-3.9 | 33.6+-3.2 | 45.1+-2.3
0.5 % of CIFAR10/ResNet20 | 51.1+-2.3 | 58.7+-1.3 | 55.8+-3.1 | 63.9+-2.1
1 % of CIFAR10/ResNet20 | 66.2+-1.0 | 74.4+-0.8 | 65.9+-4.0 | 74.7+-1.1
1 % of CIFAR10/WRN-28-10 | 61.3+-2.4 | 57.7+-0.8 | 59.9+-2.4 | 62.1+-3.1
5 % of Caltech256/ResNet18 | 24.8+-1.5 | 41.5+-0.5 | 33.8+-1.7 | 52.7+-1.2
10 % of Caltech256/ResNet18 | 49.5+-0.6 | 61.8+-0.8 | 55.7+-0.3 | 65.4+-0.3
20 % of Caltech256/ResNet18 | 66.6+-0.2 | 72.5+-0.1 | 67.5+-0.3 | 73.1+-0.1
30 % of Caltech256/ResNet18 | 72.0+-0.1 | 75.7+-0.2 | 71.9+-0.2 | 76.3+-0.2
40 % of Caltech256/ResNet18 | 74.6+-0.3 | 77.6+-0.4 | 74.2+-0.4 | 77.7+-0.5
50 % of Caltech256/ResNet18 | 76.1+-0.5 | 78.5+-0.3 | 76.1+-0.1 | 78.9+-0.2
"""
_T3 = """
coreset 5 %  | 33.8 | 26.4 | 48.2 | 52.7
random 5 %   | 24.8 | 17.4 | 40.2 | 41.5
coreset 10 % | 55.7 | 48.2 | 62.8 | 65.4
random 10 %  | 50.6 | 40.2 | 62.0 | 61.8
coreset 30 % | 71.9 | 68.8 | 74.9 | 76.3
random 30 %  | 72.0 | 68.7 | 75.1 | 75.7
"""
# A pair 3.48, 2.21 stands under a second column of 30 %, whose heading is lost; max-loss, most
# likely. The coreset's 5, 15, 20, 25 and 30 % are not legible.
_T4 = """
coreset 10 % | 6.31 | 3.93
max-loss 30 % | 3.48 | 2.21
random 30 % | 4.03 | 2.43
"""
_T5 = """
coreset 10 % | 10.50 | 7.85
coreset 30 % | 10.52 | 8.09
coreset 50 % | 10.53 | 8.17
"""
_T6 = """
random 5 % | 17.26
random 10 % | 35.38
random 30 % | 58.2
random 50 % | 64.67
coreset 5 % | 20.58
coreset 10 % | 38.20
coreset 30 % | 60.30
coreset 50 % | 65.17
"""
ACCURACY, NEVER = "accuracy", "never selected"
_T7 = """
none | 91.96+-0.12 | -
random 0.2 % | 92.22+-0.22 | 67.03+-0.04
max-loss 0.2 % | 91.94+-0.12 | 86.70+-0.15
coreset 0.2 % | 92.26+-0.13 | 79.19+-1.10
random 0.5 % | 92.06+-0.17 | 36.70+-0.18
max-loss 0.5 % | 92.20+-0.13 | 76.80+-0.31
coreset 0.5 % | 92.27+-0.08 | 63.23+-0.35
"""
T2_COLUMNS = ("random weak", "random strong", "coreset weak", "coreset strong")
T3_COLUMNS = ("no augmentation", "in place", "in place, twice the points", "append")

T1 = _block("T1", "%", (CIFAR10, IMB100, IMB10, SVHN), _T1)
T2 = _block("T2", "%", T2_COLUMNS, _T2)
T3 = _block("T3", "%", T3_COLUMNS, _T3)
T4 = _block("T4 (D.7)", "x", (CIFAR10, SVHN), _T4)
T5 = _block("T5 (D.7)", "s", (CALTECH_TIMES, TINYIMAGENET), _T5)
T6 = _block("T6 (D.8)", "%", (CALTECH_SCRATCH,), _T6)
T7 = _block("T7 (D.9)", "%", (ACCURACY, NEVER), _T7)

SHARE_OF_GAIN = PaperValue(51, None, "%", "D.3: share of the gain of a 10 % coreset, CIFAR10")
SVHN_EXTRA_GAIN = PaperValue(
    24.8, None, "%", "D.7: gain of a 30 % coreset over that of a random subset, SVHN"
)
SVHN_LOST_SPEED_UP = PaperValue(
    11, None, "%", "D.7: speed-up of a random subset that a 30 % coreset gives up, SVHN"
)
ALL_HOURS = PaperValue(14.4, None, "h", "D.7: training CIFAR10/ResNet20 with all augmented")
ALL_OVER_PLAIN = PaperValue(13, None, "x", "main text: time of that over plain training")
