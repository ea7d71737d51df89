"""The block of docs/training.md runs as it stands."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "training.md"


def test_the_program_of_the_guide_trains(capsys):
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(program, PAGE.name, "exec"), {})
    accuracy, balanced = map(float, capsys.readouterr().out.split())
    assert 0.5 < accuracy < 1
    assert 0.5 < balanced < 1
