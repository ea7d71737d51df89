"""The programs of examples/ print what docs/examples.md says."""

import contextlib
import io
import re
from pathlib import Path

import pytest
from helpers import same_but_for_digits

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_prints_what_the_page_says(name, tmp_path, monkeypatch):
    source = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")
    assert len(source.splitlines()) < 60
    section = PAGE.partition(f"```{{literalinclude}} ../examples/{name}.py\n")[2]
    expected = re.search(r"```text\n(.*?)```", section, re.DOTALL)[1].splitlines()
    monkeypatch.chdir(tmp_path)
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        exec(compile(source, f"examples/{name}.py", "exec"), {"__name__": "__main__"})
    printed = told.getvalue().splitlines()
    assert len(printed) == len(expected)
    for one, other in zip(expected, printed, strict=True):
        assert same_but_for_digits(one, other, relative=0.1, absolute=0.05), (one, other)
