import re
from pathlib import Path

import jax
import numpy as np
import pytest

from ntk_aug import coreset
from ntk_aug.coreset.budgets import ALLOCATIONS

PAGE = (Path(__file__).parents[2] / "docs" / "coreset.md").read_text(encoding="utf-8")
_, SELECTOR = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_selector_runs_as_a_module_of_the_user(small, tmp_path, monkeypatch):
    assert len(SELECTOR.splitlines()) <= 10
    (tmp_path / "own_documented_selector.py").write_text(SELECTOR)
    monkeypatch.syspath_prepend(tmp_path)
    spec = "own_documented_selector:smallest_margins"
    found = coreset.select(jax.random.key(0), small, spec, count=15)
    two = np.sort(small.logits, axis=1)[:, -2:]
    margins = two[:, 1] - two[:, 0]
    for number, count in enumerate((8, 2, 5)):
        own = np.flatnonzero(small.labels == number)
        expected = own[np.argsort(margins[own])[:count]]
        np.testing.assert_array_equal(found.indices[found.labels == number], expected)


@pytest.mark.parametrize(
    "names", [coreset.SELECTORS, coreset.PROXIES, coreset.ALGORITHMS, ALLOCATIONS]
)
def test_the_page_names_everything(names):
    assert not [name for name in names if name not in PAGE]
