"""The page of recorded runs."""

import base64
import io
import re
import shutil
from pathlib import Path

import numpy as np
from paper_records import write_t1_run
from PIL import Image

from analysis.__main__ import COMMANDS
from ntk_aug.programs import run_program

ROOT = Path(__file__).parents[2]


def test_the_page_stands_alone_and_tells_what_was_run(tmp_path, capsys):
    runs = tmp_path / "runs"
    for seed in (0, 1):
        write_t1_run(runs / f"n{seed}", "none", seed=seed, accuracy=0.9)
        write_t1_run(runs / f"a{seed}", "all", seed=seed, accuracy=0.95)
    write_t1_run(runs / "c", "coreset", size=0.1, accuracy=0.94)
    shutil.copytree(ROOT / "results/theory/coresets/digits-0", runs / "theory")
    for name, text in (("broken", "{"), ("other", "{}")):
        (runs / name).mkdir()
        (runs / name / "theory.json").write_text(text)
    (runs / "README.md").write_text("# Found\n\n| a | b |\n|-|-|\n| [one](x.md) | `p < 1` |\n")
    arguments = ("report", "--runs", str(runs), "--out", str(tmp_path / "out"))
    assert run_program("analysis", "", COMMANDS, arguments=arguments) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    (embedded,) = re.findall('data:image/png;base64,([^"]*)', page)
    (figure,) = (tmp_path / "out" / "figures").glob("f3-*.png")
    with Image.open(io.BytesIO(base64.b64decode(embedded))) as small, Image.open(figure) as whole:
        assert small.size == whole.size
        pixels = (np.asarray(one.convert("RGB"), float) for one in (small, whole))
        assert np.abs(np.subtract(*pixels)).max() < 40  # of 255
    rows = [
        "".join(f"<td>{cell}</td>" for cell in row)
        for row in (
            ("none", "90.00 +- 0.00 %", 2, "89.46 +- 0.17 %", "+0.54", "-", ""),
            ("coreset 10 %, share of the gain", "80.00 %", 1, "-", "-", "-", ""),
        )
    ]
    assert all(row in page for row in rows)
    assert "<td>cifar10</td><td>as published</td><td>resnet20</td><td>none</td>" in page
    assert "<td>0, 1</td><td>cpu: cpu, P</td>" in page
    assert "<td>B.3</td>" in page
    assert page.index("<h2>Found</h2>") < page.index("<h2>What was run</h2>")
    assert "<td>one</td>\n<td><code>p &lt; 1</code></td>" in page
    assert "Not drawn: no spectrum study" in page
    told = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1] for line in told] == ["broken", "other"]
    assert all(name in page for name in ("<li>broken: ", "<li>other: "))
