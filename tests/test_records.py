import gc
import json
import os
import stat
import warnings

import jax.numpy as jnp
import jaxlib
import numpy as np
import pytest

from ntk_aug import records
from ntk_aug.errors import BrokenFileError, InputError


class BodyFailedError(Exception):
    """What the body of a test's `with` raises."""


def one_line(error):
    return str(error.value).splitlines() == [str(error.value)]


def half_written(path):
    with records.replacing(path) as temporary:
        temporary.write_text("half")
        raise BodyFailedError


def test_a_file_appears_when_the_body_ends_and_not_before(tmp_path):
    path = tmp_path / "new" / "result.txt"
    with records.replacing(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
        assert temporary.parent == path.parent  # a rename within one file system is atomic
    assert path.read_text() == "whole"
    assert os.listdir(path.parent) == ["result.txt"]


def test_a_failing_body_leaves_the_old_file_and_no_part_of_the_new(tmp_path):
    path = tmp_path / "result.txt"
    path.write_text("old")
    with pytest.raises(BodyFailedError):
        half_written(path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["result.txt"]


@pytest.mark.parametrize("umask", [0o022, 0o027])
def test_a_result_has_the_permissions_of_any_other_file(tmp_path, umask):
    before = os.umask(umask)
    try:
        records.write_json(tmp_path / "ours", 1)
        (tmp_path / "ordinary").touch()
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ours", "ordinary")]
    assert modes[0] == modes[1]


def test_json_reads_back_as_plain_python_values(tmp_path):
    value = {
        "b": np.float32(0.5),
        "a": (np.int64(3), True, None, "Zürich"),
        3: {"path": tmp_path, "array": np.arange(4).reshape(2, 2), "jax": jnp.array([1.0, 2.0])},
    }
    records.write_json(tmp_path / "x.json", value)
    read = records.read_json(tmp_path / "x.json")
    assert read == {
        "b": 0.5,
        "a": [3, True, None, "Zürich"],
        "3": {"path": str(tmp_path), "array": [[0, 1], [2, 3]], "jax": [1.0, 2.0]},
    }
    assert list(read) == ["b", "a", "3"]
    assert "Zürich" in (tmp_path / "x.json").read_text(encoding="utf-8")


def test_numbers_that_are_not_finite_become_null():
    value = {
        "scalar": float("nan"),
        "numpy": np.float32("inf"),
        "array": np.array([[1.0, -np.inf], [np.nan, 2.0]]),
        "jax": jnp.array([jnp.nan]),
    }
    assert json.loads(records.to_json(value), parse_constant=pytest.fail) == {
        "scalar": None,
        "numpy": None,
        "array": [[1.0, None], [None, 2.0]],
        "jax": [None],
    }


def test_float64_survives_json_to_the_last_bit(tmp_path):
    values = np.random.default_rng(0).normal(size=50) * 10.0 ** np.arange(-25, 25)
    records.write_json(tmp_path / "x.json", values)
    np.testing.assert_array_equal(np.array(records.read_json(tmp_path / "x.json")), values)


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"{'a': 1}", b"\xff\xfe\x00"])
def test_broken_json_is_named_in_one_line(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(BrokenFileError, match=r"x\.json is not readable JSON: ") as caught:
        records.read_json(tmp_path / "x.json")
    assert one_line(caught)


@pytest.mark.parametrize("read", [records.read_json, records.read_npz])
def test_a_missing_file_is_named(tmp_path, read):
    with pytest.raises(InputError, match=r"gone\.file is missing$") as caught:
        read(tmp_path / "gone.file")
    assert one_line(caught)


@pytest.mark.parametrize("read", [records.read_json, records.read_npz])
def test_a_folder_is_no_file(tmp_path, read):
    with pytest.raises(InputError, match=r"is not (a )?readable") as caught:
        read(tmp_path)
    assert one_line(caught)


def test_arrays_read_back_bit_for_bit(tmp_path):
    arrays = {
        "float": np.array([[np.nan, -0.0], [np.inf, 1 / 3]], np.float32),
        "int": np.arange(5, dtype=np.uint8),
        "text": np.array(["a", "bcd"]),
        "empty": np.zeros((0, 3)),
        "scalar": np.float64(2),
    }
    records.write_npz(tmp_path / "x.npz", arrays)
    read = records.read_npz(tmp_path / "x.npz")
    assert set(read) == set(arrays)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        assert read[name].shape == array.shape
        assert read[name].tobytes() == array.tobytes()


def test_an_object_array_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(TypeError, match=r"^ragged is an object array"):
        records.write_npz(tmp_path / "x.npz", {"ragged": np.array([[1], [1, 2]], object)})
    assert os.listdir(tmp_path) == []


def test_a_pickled_array_is_not_read(tmp_path):
    np.savez(tmp_path / "x.npz", good=np.ones(2), bad=np.array([{"code": "runs"}], object))
    with pytest.raises(BrokenFileError, match=r"x\.npz is not a readable npz file") as caught:
        records.read_npz(tmp_path / "x.npz")
    assert one_line(caught)


def test_a_cut_npz_is_named_and_not_left_open(tmp_path):
    records.write_npz(tmp_path / "x.npz", {"a": np.arange(1000)})
    content = (tmp_path / "x.npz").read_bytes()
    (tmp_path / "x.npz").write_bytes(content[: len(content) // 2])
    with warnings.catch_warnings(record=True) as caught_warnings:
        warnings.simplefilter("always")
        with pytest.raises(BrokenFileError, match=r"x\.npz is not a readable npz file") as caught:
            records.read_npz(tmp_path / "x.npz")
        assert one_line(caught)
        del caught
        gc.collect()
    assert not caught_warnings


def test_a_broken_npz_is_named_in_one_line(tmp_path):
    records.write_npz(tmp_path / "x.npz", {"a": np.arange(1000)})
    changed = bytearray((tmp_path / "x.npz").read_bytes())
    changed[len(changed) // 2] ^= 0xFF
    for content in (b"images", changed):
        (tmp_path / "x.npz").write_bytes(content)
        with pytest.raises(BrokenFileError, match=r"x\.npz is not a readable npz file") as caught:
            records.read_npz(tmp_path / "x.npz")
        assert one_line(caught)


def write_run(folder, text, *, then=lambda: None, **options):
    with records.staged_folder(folder, marker="run.json", **options) as staging:
        (staging / "run.json").write_text(text)
        then()


def fail():
    raise BodyFailedError


def test_a_folder_appears_whole(tmp_path):
    folder = tmp_path / "runs" / "a"
    with records.staged_folder(folder, marker="run.json") as staging:
        assert not folder.exists()
        assert list(staging.iterdir()) == []
        (staging / "run.json").touch()
        (staging / "sub").mkdir()
    assert sorted(os.listdir(folder)) == ["run.json", "sub"]
    assert os.listdir(folder.parent) == ["a"]


def test_a_relative_or_empty_folder_may_be_filled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    write_run("a", "new")
    write_run("a", "newer", overwrite=True)
    assert (tmp_path / "a" / "run.json").read_text() == "newer"
    assert os.listdir(tmp_path) == ["a"]


def test_an_earlier_run_is_replaced_only_if_asked(tmp_path):
    write_run(tmp_path / "a", "old")
    (tmp_path / "a" / "old only").touch()
    with pytest.raises(InputError, match="a holds an earlier run; choose another folder"):
        write_run(tmp_path / "a", "new")
    assert (tmp_path / "a" / "run.json").read_text() == "old"
    write_run(tmp_path / "a", "new", overwrite=True)
    assert (tmp_path / "a" / "run.json").read_text() == "new"
    assert os.listdir(tmp_path / "a") == ["run.json"]
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_foreign_folder_is_never_replaced(tmp_path, overwrite):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").write_text("years of work")
    with pytest.raises(InputError, match=r"thesis holds files but no run\.json") as caught:
        write_run(tmp_path / "thesis", "new", overwrite=overwrite)
    assert one_line(caught)
    assert os.listdir(tmp_path) == ["thesis"]
    assert (tmp_path / "thesis" / "chapter").read_text() == "years of work"


@pytest.mark.parametrize("earlier", [True, False])
def test_a_failing_body_leaves_the_folder_as_it_was(tmp_path, earlier):
    if earlier:
        write_run(tmp_path / "a", "old")
    with pytest.raises(BodyFailedError):
        write_run(tmp_path / "a", "half", then=fail, overwrite=True)
    assert os.listdir(tmp_path) == ["a"] * earlier
    if earlier:
        assert (tmp_path / "a" / "run.json").read_text() == "old"


def test_a_folder_inside_a_file_is_refused_before_the_body(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "a"):
        with pytest.raises(InputError, match="file is a file"):
            write_run(folder, "new", overwrite=True)


def test_a_foreign_folder_that_appears_during_the_run_is_not_replaced(tmp_path):
    def somebody_else_writes():
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "chapter").touch()

    with pytest.raises(InputError, match=r"a holds files but no run\.json"):
        write_run(tmp_path / "a", "new", then=somebody_else_writes)
    assert os.listdir(tmp_path / "a") == ["chapter"]


def test_the_working_directory_itself_can_be_filled(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path / "a")
    write_run(".", "new")
    assert (tmp_path / "a" / "run.json").read_text() == "new"


def test_equal_content_has_equal_fingerprints():
    array = np.arange(12.0).reshape(3, 4)
    assert records.fingerprint(array) == records.fingerprint(np.asfortranarray(array))
    assert records.fingerprint(array[:, ::2]) == records.fingerprint(array[:, ::2].copy())
    assert records.fingerprint({"a": 1, "b": [2]}) == records.fingerprint({"b": [2], "a": 1})


def test_any_change_of_content_changes_the_fingerprint():
    array = np.zeros((2, 6), np.float32)
    changed = array.copy()
    changed[1, 3] = np.nextafter(np.float32(0), np.float32(1))
    variants = [array, changed, -array, array.astype(np.float64), array.view(np.int32)]
    variants += [array.reshape(6, 2), array.reshape(12), array[:, :5], [0.0] * 12]
    variants += [{"a": 1, "b": 2}, {"a": 1, "c": 2}, {"a": 2, "b": 1}, {"a": 1, "b": 2.5}]
    variants += [[1, 2], [2, 1], [[1], 2], "12", 12, None]
    assert len({records.fingerprint(value) for value in variants}) == len(variants)


def test_the_fingerprint_is_the_sha256_of_what_it_says():
    # By the command line: printf '[1, "a"]' | sha256sum, and
    # printf '<f4(2,)\x00\x00\x80\x3f\x00\x00\x00\x40' | sha256sum: 1 and 2 in float32.
    assert records.fingerprint([1, "a"]) == (
        "4a72386a027702c1f4fdf182d13b71437ba1606b177123eb73a11eb0bd2feeb8"
    )
    assert records.fingerprint(np.array([1, 2], "<f4")) == (
        "1e506e4140fce00877e76dee7a5ba5b302acbc4183773fe64bfce98cac2e917b"
    )


def test_the_environment_names_versions_and_device(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_experimental_ynn_fusion_type=")
    environment = records.environment()
    assert environment["xla_flags"] == "--xla_cpu_experimental_ynn_fusion_type="
    monkeypatch.delenv("XLA_FLAGS")
    assert records.environment()["xla_flags"] == ""
    assert environment["jaxlib"] == jaxlib.__version__
    assert environment["processor"] == records.processor_name()
    assert environment["numpy"] == np.__version__
    assert environment["device"].startswith("cpu: ")
    assert environment["num_devices"] >= 1
    assert json.loads(records.to_json(environment)) == environment


def test_the_processor_is_named_as_the_system_names_it(tmp_path, monkeypatch):
    (tmp_path / "x86").write_text("processor\t: 0\nmodel name\t: Epyc: the 9th \nmodel name\t: B\n")
    (tmp_path / "arm").write_text("processor\t: 0\nCPU part\t: 0xd0c\n")
    monkeypatch.setattr(records.platform, "processor", lambda: "arm")
    monkeypatch.setattr(records.platform, "machine", lambda: "aarch64")
    assert records.processor_name(cpuinfo=tmp_path / "x86") == "Epyc: the 9th"
    assert records.processor_name(cpuinfo=tmp_path / "arm") == "arm"
    monkeypatch.setattr(records.platform, "processor", lambda: "")
    assert records.processor_name(cpuinfo=tmp_path / "absent") == "aarch64"
