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
}
LONG = "<long>"
FIELDS = {"id": "id", "prompt": "a question, in words; or more", "target": "answer", "group": "customer"}


def messy(rng, count):
    """A CSV file, its rows as they should be read (None for a bad one), and the number of bad rows."""
    text, rows = io.StringIO(newline=""), []
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerow(["id", "a question, in words; or more", "answer", "customer"])
    for number in range(count):
        plain = record(number)
        cells, is_bad = [plain.prompt, plain.target], False
        if rng.random() < 0.6 or number == count // 2:
            mess, is_bad = (LONG, True) if number == count // 2 else rng.choice(list(MESS.values()))
            at = rng.randrange(2)
            pieces = [f"line {n} of {number}: {piece}" for n, piece in enumerate(cells[at].split(" "))]
            line = rng.randrange(len(pieces))  # the first, a middle or the last line of the cell
            pieces[line] = f"{pieces[line]}{mess}z"
            cells[at] = "\n".join(pieces)
        writer.writerow([number, *cells, f"c{number}"])
        if rng.random() < 0.05:
            text.write("\r\n")
        as_read = None if is_bad else tuple(cell.encode("latin-1").decode() for cell in cells)
        rows.append(as_read)
        if rng.random() < 0.03:
            text.write("too;few\r\n")
            rows.append(None)
    data = text.getvalue().encode("latin-1").replace(LONG.encode(), b"x" * (MAX_ROW_BYTES + 1))
    return b"\xef\xbb\xbf" + data, rows


def parts_of(folder, data, seed=0):
    """What curation and the split make of a CSV file."""
    (folder / "x.csv").write_bytes(data)
    source = make_source({"format": "table", "path": "x.csv", "fields": FIELDS, "max_bad_share": 1})
    result = curate(read_source(source, folder), [make_filter({"filter": "exact_duplicates"})], seed=seed)
    return result, split(result.kept, Split(near_duplicate=0.99), seed=seed)


@pytest.mark.parametrize("seed", range(3))
def test_no_torn_row_gets_into_a_part(tmp_path, seed):
    data, rows = messy(random.Random(seed), 200)
    result, parted = parts_of(tmp_path, data, seed)
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
    assert len(good) > 100
    assert len(ends) > 15


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_a_quote_that_is_missing_tears_no_row_and_every_line_is_counted(tmp_path, quoting):
    """The first or the last quote of a row, which may take in rows after it: they are rejected with it."""
    texts, rows = [], []
    for number in range(30):
        plain = record(number)
        prompt = ("\r\n" if number % 3 == 0 else "") + plain.prompt.replace(" ", "\r\n", 2)
        rows.append((prompt, plain.target.replace(" ", ', "so" ', 1)))
        text = io.StringIO(newline="")
        csv.writer(text, quoting=quoting).writerow([number, f"c{number}", *rows[-1]])
        texts.append(text.getvalue())
    header = 'id,customer,"a question, in words; or more",answer\r\n'
    for at, find in [(1, str.index), (2, str.index), (11, str.rindex), (12, str.rindex), (28, str.rindex)]:
        place = find(texts[at], '"')
        broken = [*texts[:at], texts[at][:place] + texts[at][place + 1 :], *texts[at + 1 :]]
        result, parted = parts_of(tmp_path, (header + "".join(broken)).encode())
        kept = [(row.prompt, row.target) for part in parted.parts.values() for row in part]
        assert set(kept) <= set(rows)
        assert len(kept) == len(set(kept)) == result.funnel["read"] - len(result.rejected) - len(parted.rejected)
        assert len(kept) >= len(rows) - 3
        of_kept = sum(1 + "".join(row).count("\n") for row in kept)
        ends = [[int(n) for n in re.findall(r"\d+", row["where"])] for row in result.rejected]
        assert of_kept + sum(end[-1] - end[0] + 1 for end in ends) == "".join(broken).count("\n")


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
    source = make_source({"format": "table", "path": "x.csv", "fields": FIELDS, "max_bad_share": 1})
    with pytest.raises(StudyError, match=message):
        list(read_source(source, tmp_path))
