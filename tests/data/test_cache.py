import os

import numpy as np
import pytest

from ntk_aug.data import cache


@pytest.fixture
def prepared(tmp_path):
    folder = tmp_path / "data" / "blobs" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "blobs-train.array_record-00000-of-00001").write_bytes(b"first")
    return folder


def test_kept_arrays_come_back_equal(prepared, tmp_path):
    arrays = {"images": np.arange(6, dtype=np.uint8), "class_names": np.asarray(["a", "bc"])}
    path = cache.cache_path(prepared, "train", cache_dir=tmp_path / "cache")
    cache.write_cached(path, "signature of the files", arrays)
    read = cache.read_cached(path, "signature of the files")
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)
    assert [file.name for file in path.parent.iterdir()] == [path.name], "no partial file is left"


def test_arrays_of_another_signature_are_not_read(tmp_path):
    path = tmp_path / "kept.npz"
    assert cache.read_cached(path, "now") is None
    cache.write_cached(path, "earlier", {"labels": np.zeros(1)})
    assert cache.read_cached(path, "now") is None


def test_a_broken_file_is_not_read(tmp_path):
    path = tmp_path / "kept.npz"
    cache.write_cached(path, "now", {"labels": np.full(100, 7, np.uint8)})
    whole = path.read_bytes()
    assert cache.read_cached(path, "now") is not None
    for broken in (b"", whole[:-1], whole.replace(b"\7" * 100, b"\7" * 99 + b"8"), b"no zip"):
        path.write_bytes(broken)
        assert cache.read_cached(path, "now") is None


def test_a_cache_that_cannot_be_written_is_left_alone(tmp_path):
    (tmp_path / "file").write_text("a file where the folder should be")
    path = tmp_path / "file" / "kept.npz"
    cache.write_cached(path, "now", {"labels": np.zeros(1)})
    assert cache.read_cached(path, "now") is None
    assert (tmp_path / "file").read_text() == "a file where the folder should be"


def test_the_signature_changes_with_every_file(prepared):
    shard = next(prepared.iterdir())
    signatures = [cache.folder_signature(prepared)]
    assert cache.folder_signature(prepared) == signatures[0]
    shard.write_bytes(b"longer than the first")
    signatures.append(cache.folder_signature(prepared))
    (prepared / "label.labels.txt").write_text("a\nb\n")
    signatures.append(cache.folder_signature(prepared))
    shard.rename(prepared / "blobs-test.array_record-00000-of-00001")
    signatures.append(cache.folder_signature(prepared))
    signatures.append(cache.folder_signature(prepared.rename(prepared.with_name("1.0.1"))))
    assert len(set(signatures)) == len(signatures)


@pytest.mark.parametrize(("content", "later"), [(b"first", 1_000_000), (b"second", 0)])
def test_the_signature_changes_with_the_time_and_the_size_alone(prepared, content, later):
    before, shard = cache.folder_signature(prepared), next(prepared.iterdir())
    nanoseconds = shard.stat().st_mtime_ns + later
    shard.write_bytes(content)
    os.utime(shard, ns=(nanoseconds, nanoseconds))
    assert cache.folder_signature(prepared) != before


def test_splits_versions_and_data_folders_have_their_own_files(prepared, tmp_path):
    folders = [prepared, prepared.with_name("1.0.1"), tmp_path / "other" / "blobs" / "1.0.0"]
    paths = {cache.cache_path(folder, split) for folder in folders for split in ("train", "test")}
    assert len(paths) == 6


def test_the_cache_is_where_the_argument_or_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("NTK_AUG_CACHE", raising=False)
    assert cache.cache_folder() == tmp_path / "home" / ".cache" / "ntk_aug"
    monkeypatch.setenv("NTK_AUG_CACHE", str(tmp_path / "environment"))
    assert cache.cache_folder() == tmp_path / "environment"
    assert cache.cache_folder(tmp_path / "argument") == tmp_path / "argument"
