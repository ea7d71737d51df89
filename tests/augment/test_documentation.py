import re
from pathlib import Path

import jax
import numpy as np
import pytest

from ntk_aug.augment import AUGMENTATIONS, MAGNITUDES, build_augmentation

PAGE = (Path(__file__).parents[2] / "docs" / "augmentation.md").read_text(encoding="utf-8")
EXAMPLE = re.search(r"<!-- saved as: mine.py -->\n```python\n(.*?)```", PAGE, re.DOTALL).group(1)


def test_the_example_of_a_policy_runs_as_a_module_of_the_user(tmp_path, monkeypatch):
    assert len(EXAMPLE.splitlines()) <= 10
    (tmp_path / "own_documented_policy.py").write_text(EXAMPLE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    augmentation = build_augmentation("own_documented_policy:augmentation")
    keys = jax.random.split(jax.random.key(0), 20)
    images = np.random.default_rng(0).uniform(size=(20, 8, 8, 1)).astype(np.float32)
    augmented = np.asarray(jax.jit(jax.vmap(augmentation))(keys, images))
    assert augmented.shape == images.shape
    assert (np.abs(augmented - images).max(axis=(1, 2, 3)) > 0.05).sum() > 10
    told = {augmentation.describe(key, 8, 8).split()[0].strip(",") for key in keys}
    assert {"Rotate", "TranslateX", "Cutout"} <= told


@pytest.mark.parametrize("names", [MAGNITUDES, {n.partition("-")[0] for n in AUGMENTATIONS}])
def test_the_page_names_everything(names):
    assert not [name for name in names if name not in PAGE and name != "identity"]
