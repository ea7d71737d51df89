import pytest


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    """No test sees what another one, or the user, has decoded."""
    monkeypatch.setenv("NTK_AUG_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)


@pytest.fixture
def blobs(tmp_path):
    """(data folder, folder of the data set, arrays): 20 train and 10 test images, 3 classes."""
    from prepared_data import as_examples, draw, prepare

    arrays = {"train": draw(), "test": draw(10, seed=1)}
    splits = {split: as_examples(*pair) for split, pair in arrays.items()}
    folder = prepare(tmp_path / "data", "blobs", splits)
    return tmp_path / "data", folder, arrays
