"""Odd exports: what comes out is right, or is said, or it stops with a reason."""

import pandas as pd
import pytest
from odd_exports import exports, run

from helpers.plant import read_export

EXPORTS = exports()


@pytest.mark.parametrize("odd", EXPORTS, ids=[odd.name for odd in EXPORTS])
def test_odd_export(odd, tmp_path):
    clean, said = run(odd, tmp_path)
    for phrase in odd.said:
        assert phrase in said, said
    if odd.orders is None:
        assert clean is None, said
        return
    assert clean is not None, said
    if odd.orders is ...:
        return
    found = [
        [None if pd.isna(cell) else cell for cell in row]
        for row in clean[["date", "text", "label", "machine"]].values.tolist()
    ]
    wanted = [[row[1] and pd.Timestamp(row[1]), *row[2:5]] for row in odd.orders]
    assert found == wanted, said


def test_a_sign_in_every_text_is_not_the_separator(tmp_path):
    path = tmp_path / "complaints.txt"
    rows = [f"again a crack; we have seen it, no. {n}\tscrap" for n in range(300)]
    path.write_text("\n".join(["complaint\tdecision", *rows]), encoding="utf-16")
    table, said = read_export(path)
    assert list(table.columns) == ["complaint", "decision"] and len(table) == 300
    assert "separated by tabs" in said[0]
