"""No torn row comes out of a CSV, whatever is wrong with it, and every row is counted once."""

from __future__ import annotations

import csv
import io
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polychromic.data import csv_rows as module
from polychromic.data.csv_rows import csv_rows
from polychromic.data.rows import BadRow
from polychromic.errors import StudyError

COLUMNS = ["prompt", "target"]


def written(rows, **dialect):
    """The rows as a spreadsheet saves them, each cell given as bytes."""
    text = io.StringIO(newline="")
    csv.writer(text, **dialect).writerows([[cell.decode("latin-1") for cell in row] for row in rows])
    return text.getvalue().encode("latin-1")


def read(data):
    return list(csv_rows(io.BytesIO(data), "x.csv"))


def good(rows):
    return [row[1] for row in rows if not isinstance(row, BadRow)]


def utf8(cell):
    try:
        return cell.decode()
    except UnicodeDecodeError:
        return None


@pytest.mark.parametrize("lines", [b"caf\xe9\nis\nfine", b"it\nis caf\xe9 here\nor\nnot", b"it\nis\ncaf\xe9"])
def test_a_byte_of_another_encoding_spoils_its_row_alone(lines):
    """In the first, a middle or the last line of a cell."""
    rows = read(written([[b"prompt", b"target"], [b"a\nb", b"c"], [lines, b"d"], [b"e", b"f\ng"], [b"h", b"i"]]))
    assert good(rows) == [
        {"prompt": "a\nb", "target": "c"},
        {"prompt": "e", "target": "f\ng"},
        {"prompt": "h", "target": "i"},
    ]
    [bad] = [row for row in rows if isinstance(row, BadRow)]
    assert bad.where == "x.csv, lines 4 to 6" if lines.count(b"\n") == 2 else "x.csv, lines 4 to 7"
    at = 4 + next(n for n, line in enumerate(lines.split(b"\n")) if b"\xe9" in line)
    assert "'prompt' is not UTF-8" in bad.reason
    assert f"(line {at})" in bad.reason


def test_a_long_line_within_a_cell_spoils_its_row_alone(monkeypatch):
    monkeypatch.setattr(module, "MAX_ROW_BYTES", 1000)
    long = b"first\n" + b'x,y "quoted" ' * 300 + b"\nlast"
    rows = read(written([[b"prompt", b"target"], [b"a", b"b"], [long, b"c"], [b"d", long], [b"e", b"f"]]))
    assert good(rows) == [{"prompt": "a", "target": "b"}, {"prompt": "e", "target": "f"}]
    assert [row.where for row in rows if isinstance(row, BadRow)] == ["x.csv, lines 3 to 5", "x.csv, lines 6 to 8"]
    assert all("MiB long" in row.reason for row in rows if isinstance(row, BadRow))


def test_a_quote_that_is_not_doubled_spoils_its_row_to_the_end():
    """The lines after it are inside the row, and one of them looks like a row itself."""
    broken = b'"he said "hi" to me,\nthen,left\nand never came back",x\n'
    rows = read(b"prompt,target\na,b\n" + broken + b"c,d\ne,f\n" + b'"g",h\n')
    assert good(rows) == [dict(zip(COLUMNS, pair, strict=True)) for pair in ("ab", "cd", "ef", "gh")]
    [bad] = [row for row in rows if isinstance(row, BadRow)]
    assert bad.where == "x.csv, lines 3 to 5"


@pytest.mark.parametrize("start", ['"\nsecond', '"""\nsecond"" question', '"second', '"\n\n'])
def test_a_row_whose_last_quote_is_missing_does_not_take_in_the_next(start):
    first, third = '0,"a\nb,",c\n1,first,"an\nanswer"\n', '3,third,"an\nanswer,"\n'
    torn = f'2,question,"an answer\n2b,{start} question","a ""b"" c"\n'
    found = read(f"id,prompt,target\n{first}{torn}{third}".encode())
    assert [row["id"] for row in good(found)] == ["0", "1", "3"]


def test_cells_that_end_with_a_delimiter_are_kept():
    rows = [(f"question\n{number},".encode(), b"answer") for number in range(300)]
    assert len(good(read(written([(b"prompt", b"target"), *rows])))) == 300


def test_quotes_that_make_no_sense_for_many_rows_stop_the_run():
    rows = b'prompt,target\n"a "b" c,d\n' + b"e,f\n" * 200 + b'5" disk,g\n'
    with pytest.raises(StudyError, match=r"x.csv, line 2: .*Double the quotes"):
        read(rows)


def test_a_file_whose_quotes_are_no_quoting_stops_the_run():
    """Else nearly all of its rows would be counted as a single broken one."""
    rows = b"prompt\ttarget\n" + b'"Well" she said\tyes\nall is well\tno\nhe said "hm"\tno\n' * 60
    with pytest.raises(StudyError, match=r"x.csv, line 2: .*JSON lines"):
        read(rows)
    assert len(good(read(b'prompt\ttarget\nhe said "hm"\tyes\nall is well\tno\n'))) == 2


def test_a_header_with_a_lone_quote_takes_no_time():
    with pytest.raises(StudyError):
        read(b'"size,target\n' + b"a,b\n" * 300_000)


def test_a_carriage_return_within_a_cell_makes_no_row():
    rows = read(b"prompt,target\na,b\nsome\rwords,c\nd,e\n")
    assert good(rows) == [{"prompt": "a", "target": "b"}, {"prompt": "d", "target": "e"}]
    assert len(rows) == 3


@pytest.mark.parametrize("header", [b'"a question, in words, please";answer', b'\n\n"two\nlines, of, it";answer'])
def test_the_delimiter_is_looked_for_outside_of_quotes(header):
    [(_, row)] = read(header + b"\nwhy, oh why?;because\n")
    assert list(row.values()) == ["why, oh why?", "because"]


def test_a_header_of_another_encoding_is_refused():
    with pytest.raises(StudyError, match=r"x.csv, line 1: .*UTF-8"):
        read(b"caf\xe9,target\na,b\n")


cells = st.lists(
    st.sampled_from(
        [b"a", b" ", b"\n", b"\r\n", b"\r", b'"', b",", b";", b"\xe9", b"\x00", "é".encode(), b"\xef\xbb\xbf"]
    ),
    max_size=8,
).map(b"".join)
tables = st.lists(st.tuples(cells, cells), max_size=12)


@settings(max_examples=200, deadline=None)
@given(tables, st.sampled_from([",", ";"]), st.sampled_from([("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_MINIMAL)]))
def test_rows_are_read_whole_or_not_at_all(table, delimiter, style):
    terminator, quoting = style
    rows = [(b"prompt", b"target"), *table]
    data = written(rows, delimiter=delimiter, lineterminator=terminator, quoting=quoting)
    for limit in (60, 10_000):
        with mock.patch.object(module, "MAX_ROW_BYTES", limit):
            found = read(b"\xef\xbb\xbf" + data)
        assert len(found) == len(table)
        for row, (prompt, target) in zip(found, table, strict=True):
            size = len(written([(prompt, target)], delimiter=delimiter, lineterminator=terminator, quoting=quoting))
            is_good = None not in (utf8(prompt), utf8(target)) and size <= limit
            assert isinstance(row, BadRow) != is_good
            if is_good:
                assert row[1] == {"prompt": utf8(prompt), "target": utf8(target)}


lines = st.lists(st.sampled_from(["some", ", ", '"', '""', " "]), max_size=5).map(lambda parts: f"a{''.join(parts)}z")
texts = st.lists(lines, min_size=1, max_size=4).map("\n".join)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(texts, st.just("answer")), min_size=1, max_size=6), st.integers(0, 5))
def test_a_row_whose_quotes_are_not_doubled_is_not_torn(table, at):
    """One row is broken: its end is not taken for a row. (Where a line of it begins with a quote, that is unknown.)"""
    at %= len(table)
    rows = [written([(prompt.encode(), target.encode())]).decode() for prompt, target in table]
    rows[at] = f'"{table[at][0]}",answer\n'
    originals = [{"prompt": prompt, "target": target} for prompt, target in table]
    # It may be in order after all, where its quotes happen to be doubled.
    originals.append({"prompt": table[at][0].replace('""', '"'), "target": "answer"})
    try:
        found = good(read(("prompt,target\n" + "".join(rows)).encode()))
    except StudyError:
        return
    assert all(row in originals for row in found if row["target"] == "answer")
