import re
from pathlib import Path

import numpy as np
import pytest

from ntk_aug import theory

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "theory.md"


@pytest.fixture(scope="module")
def guide():
    return GUIDE.read_text(encoding="utf-8")


def test_the_table_has_every_statement_with_its_status_and_reason(guide):
    lines = [line.strip("| ") for line in guide.splitlines() if line.startswith("| ")]
    rows = [[cell.replace("\\|", "|") for cell in line.split(" | ")] for line in lines]
    # A later table has ratios of some of them on networks
    found = {row[0]: row for row in reversed(rows) if row[0] in theory.STATEMENTS}
    found = {number: found[number] for row in rows if (number := row[0]) in found}
    assert list(found) == list(theory.STATEMENTS)
    for number, statement in theory.STATEMENTS.items():
        assert found[number][1] == statement.status, number
        assert found[number][2] == statement.reason, number


def test_every_statement_has_a_paragraph_with_its_code_and_its_test(guide):
    headings = re.findall(r"^## (.*)$", guide, flags=re.MULTILINE)
    for expected in (
        "Lemma 4.1",
        "Corollary 4.2",
        "Lemma 5.1",
        "Theorem 5.2",
        "A.5, Eq. (44)",
        "Theorem B.1",
        "Theorem B.2",
        "Lemma B.3",
        "Lemma B.4 and Corollary B.5",
        "Theorem B.6",
        "C.2",
        "Facts F1 to F6",
    ):
        assert expected in headings
        section = guide.split(f"## {expected}\n")[1].split("\n## ")[0]
        links = re.findall(r"\]\((\.\./[^)]*)\)", section)
        assert any("ntk_aug/theory/" in link for link in links), expected
        assert any("tests/theory/" in link for link in links), expected


def test_the_numbers_of_the_text_are_those_of_the_counterexamples(guide):
    bracket = theory.STATEMENTS["B.6"].counterexamples[1]()
    for number in ("188.4", "113.1", "211.4"):
        assert number in guide
    start = bracket.further_printed["bracket"]
    assert f"{start.lhs:.1f} {start.rhs:.1f}" == "188.4 113.1"
    assert f"{bracket.further['bracket'].rhs:.1f}" == "211.4"
    residuals, gradients = (make() for make in theory.STATEMENTS["5.1"].counterexamples)
    assert np.isclose(residuals.lhs, 20)
    assert f"{residuals.printed:.2f}" == "0.57"
    assert np.isclose(gradients.lhs, 20)
    assert gradients.printed < gradients.further_printed["27"].rhs == pytest.approx(2)
