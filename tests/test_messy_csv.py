"""A stranger's CSV with every mess in it ends in parts without one torn row, and the counts add up."""

from __future__ import annotations

import csv
import io
import random
import re

import pytest
from test_splitting import record

from polychromic.data import funnel
from polychromic.data.curation import curate
from polychromic.data.filters import make_filter
from polychromic.data.rows import MAX_ROW_BYTES
from polychromic.data.sources import make_source
from polychromic.data.sources.base import read_source
from polychromic.data.splitting import Split, split
from polychromic.errors import StudyError

# What a cell may hold besides its text, and whether the row is bad for it. In Latin-1, as bytes.
MESS = {
    "line breaks": ("\n", False),
    "windows line breaks": ("\r\n", False),
    "a lone carriage return": ("\r", False),
    "quotes and delimiters": (' "quoted", "twice"; ', False),
    "utf-8": ("é 👩‍👩‍👧 مرحبا".encode().decode("latin-1"), False),
    "a byte order mark within": ("\xef\xbb\xbf", False),
    "a nul": (" \x00 ", False),
    "a line separator": ("\u2028".encode().decode("latin-1"), False),
    "a smart quote of cp1252": ("\x93", True),
    "an accent of cp1252": ("caf\xe9", True),
    "half a character of utf-8": ("\xc3", True),
    "a very long line": ("x" * (MAX_ROW_BYTES + 1), True),
}


def messy(rng, count):
    """A CSV file, its rows as they should be read (None for a bad one), and the number of bad rows."""
    text, rows = io.StringIO(newline=""), []
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerow(["id", "a question, in words; or more", "answer", "customer"])
    for number in range(count):
        plain = record(number)
        cells, is_bad = [plain.prompt, plain.target], False
        if rng.random() < 0.6:
            kind = rng.choice(list(MESS)) if number % 40 else "a very long line"
            if kind == "a very long line" and number % 40:
                kind = "line breaks"
            mess, is_bad = MESS[kind]
            at = rng.randrange(2)
            lines = [f"line {n} of {number}: {piece}" for n, piece in enumerate(cells[at].split(" "))]
            line = rng.randrange(len(lines))  # the first, a middle or the last line of the cell
            lines[line] = f"{lines[line]}{mess}z"
            cells[at] = "\n".join(lines)
        writer.writerow([number, *cells, f"c{number}"])
        if rng.random() < 0.05:
            text.write("\r\n")
        as_read = None if is_bad else tuple(cell.encode("latin-1").decode() for cell in cells)
        rows.append(as_read)
        if rng.random() < 0.03:
            text.write("too;few\r\n")
            rows.append(None)
    return b"\xef\xbb\xbf" + text.getvalue().encode("latin-1"), rows


@pytest.mark.parametrize("seed", range(3))
def test_no_torn_row_gets_into_a_part(tmp_path, seed):
    data, rows = messy(random.Random(seed), 400)
    (tmp_path / "x.csv").write_bytes(data)
    fields = {"id": "id", "prompt": "a question, in words; or more", "target": "answer", "group": "customer"}
    source = make_source({"format": "table", "path": "x.csv", "fields": fields, "max_bad_share": 1})
    result = curate(read_source(source, tmp_path), [make_filter({"filter": "exact_duplicates"})], seed=seed)
    parted = split(result.kept, Split(near_duplicate=0.99), seed=seed)
    good = [row for row in rows if row is not None]
    assert result.funnel["read"] == len(rows)
    assert result.funnel["steps"][0] == funnel.step("unusable", len(rows), len(good))
    kept = [row for part in parted.parts.values() for row in part]
    assert {(row.prompt, row.target) for row in kept} <= set(good)
    whole = funnel.extended(
        result.funnel,
        [funnel.step("split", len(result.kept), len(kept))],
        {name: len(part) for name, part in parted.parts.items()},
    )
    rejected = [*result.rejected, *parted.rejected]
    assert whole["kept"] + whole["rejected"] == whole["read"] == len(kept) + len(rejected)
    ends = [[int(n) for n in re.findall(r"\d+", row["where"])] for row in rejected if row["record"] is None]
    assert len({tuple(end) for end in ends}) == len(ends) == len(rows) - len(good), "each bad row once, with its lines"
    assert len(good) > 200
    assert len(ends) > 30


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (b"", b'900;"an answer that is;never closed;c\r\n901;a;b;c\r\n', r"x\.csv, line \d+: a quote .* never closed"),
        (b"id;answer;answer\r\n", b"", r"x\.csv, line 1: the columns \['answer'\] occur twice"),
    ],
)
def test_what_could_tear_all_rows_stops_the_run(tmp_path, start, end, message):
    data, _ = messy(random.Random(0), 40)
    (tmp_path / "x.csv").write_bytes(start + data.removeprefix(b"\xef\xbb\xbf") + end)
    fields = {"id": "id", "prompt": "a question, in words; or more", "target": "answer"}
    source = make_source({"format": "table", "path": "x.csv", "fields": fields, "max_bad_share": 1})
    with pytest.raises(StudyError, match=message):
        list(read_source(source, tmp_path))
