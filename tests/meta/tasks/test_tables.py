"""Files of a user: what is read, and what is said of those that are bad."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo.errors import InputError, MissingExtra
from hpo.meta.tasks.tables import Table, cells, read_table

COLUMNS = {"text_column": "text", "label_column": "label"}
GOOD = 'text,label,stars\ngood,yes,5\n\n"two\nlines",no,1\nbad,no,2\n'
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """``write(content, name)``: a file in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HPO_DATA_DIR", raising=False)

    def to_file(content: str | bytes, name: str = "t.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return to_file


def write_parquet(path: Path, **columns: Any) -> Path:
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet files need the parquet extra")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table(columns), path)
    return path


def message(file: str = "t.csv") -> str:
    with pytest.raises(InputError) as refused:
        read_table(file, COLUMNS)
    return str(refused.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_csv_file(write: Write, encoding: str, newline: str) -> None:
    write(GOOD.replace("\n", newline).encode(encoding))
    table = read_table("t.csv", COLUMNS)
    assert table.columns == {
        "text": ("good", f"two{newline}lines", "bad"),
        "label": ("yes", "no", "no"),
        "stars": ("5", "1", "2"),
    }
    assert [table.place(row) for row in range(3)] == ["line 2", "line 4", "line 6"]


def test_a_tsv_file(write: Write) -> None:
    write("text\tlabel\na, b\tyes\n", "t.tsv")
    assert read_table("t.tsv", COLUMNS).columns["text"] == ("a, b",)


def test_a_parquet_file(write: Write, tmp_path: Path) -> None:
    write_parquet(tmp_path / "t.parquet", text=["a", None], label=[1, 2], other=[0.5, 1.5])
    table = read_table("t.parquet", COLUMNS)
    assert table.columns == {"text": ["a", None], "label": [1, 2], "other": [0.5, 1.5]}
    assert table.place(1) == "row 2"


def test_the_working_directory_comes_before_the_data_folder(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("HPO_DATA_DIR", str(tmp_path / "data"))
    write(GOOD, "data/t.csv")
    assert read_table("t.csv", COLUMNS).path == tmp_path / "data/t.csv"
    write(GOOD)
    assert read_table("t.csv", COLUMNS).path == tmp_path / "t.csv"
    assert read_table(str(tmp_path / "data/t.csv"), COLUMNS).path == tmp_path / "data/t.csv"


def test_a_file_that_is_not_there(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = "a relative path is looked for in the working directory, then in HPO_DATA_DIR"
    assert message() == f"tasks.file: there is no {tmp_path}/t.csv: {where}"
    monkeypatch.setenv("HPO_DATA_DIR", "/data")
    assert message() == f"tasks.file: there is no {tmp_path}/t.csv or /data/t.csv: {where}"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "{}: this file is empty, expected names of columns in its first line"),
        ("text,label\n", "tasks.file: {} has no rows below its header"),
        ("text,lable\na,b\n", "tasks.label_column: {} has no column 'label'; did you mean 'lable'?"),
        ("x,y\na,b\n", "tasks.text_column: {} has no column 'text'; expected one of: x, y"),
        ("text;label\na;b\n", "{}, line 1: found columns separated by ';', expected ','"),
        ("text,label,text\na,b,c\n", "{}, line 1: found two columns 'text', expected different names"),
        ("text,label\n\na,b\na,b,c\n", "{}, line 4: found 3 fields, expected 2 as in line 1"),
        ('text,label\na,b\n"a,b\nc,d\n', "{}, line 3: this is no valid CSV: unexpected end of data"),
        ('text,label\na,b\n"a"x,b\n', "{}, line 3: this is no valid CSV: ',' expected after '\"'"),
        (
            "text,label\na,b\nfine,caf\xe9\n".encode("latin-1"),
            "{}, line 3, column 'label': found the byte 0xe9, expected text in UTF-8: save the file in that encoding",
        ),
        ("text,label\na,b\ncaf\xe9,b\n".encode("latin-1"), "{}, line 3, column 'text': found the byte 0xe9, "),
        ('text,label\na,b\n"a\nx",\xe9\n'.encode("latin-1"), "{}, line 4, column 'label': found the byte 0xe9, "),
        ("t\xe9xt,label\na,b\n".encode("latin-1"), "{}, line 1: found the byte 0xe9, "),
        ("text,label\n".encode("utf-16"), "{}, line 1: found the byte 0xff, "),
    ],
)
def test_a_bad_csv_file(write: Write, content: str | bytes, expected: str) -> None:
    path = write(content)
    assert message().startswith(expected.format(path))


def test_a_file_of_another_kind(write: Write) -> None:
    path = write(GOOD, "t.xlsx")
    assert message("t.xlsx") == f"tasks.file: found {path}, expected a file *.csv, *.tsv or *.parquet"


def test_a_folder(write: Write, tmp_path: Path) -> None:
    (tmp_path / "t.csv").mkdir()
    assert message() == f"tasks.file: {tmp_path}/t.csv cannot be read: Is a directory"


def test_a_bad_parquet_file(write: Write, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    path = write(GOOD, "t.parquet")
    assert message("t.parquet").startswith(f"{path}: this is no valid Parquet file: ")
    undecodable = pyarrow.array([b"a", b"caf\xe9"]).cast(pyarrow.string(), safe=False)
    write_parquet(tmp_path / "t.parquet", text=undecodable, label=["a", "b"])
    assert message("t.parquet") == f"{path}, row 2, column 'text': found the byte 0xe9, expected text in UTF-8"


def test_parquet_without_pyarrow(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write(b"", "t.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"t\.parquet needs the package 'pyarrow', .* pip install 'hpo\[parquet\]'"):
        read_table("t.parquet", COLUMNS)


def table_of(*found: object) -> Table:
    return Table(Path("t.csv"), {"x": found}, "line", range(2, 2 + len(found)))


def test_texts_and_names() -> None:
    assert cells.texts(table_of(" a b ", "c"), "x") == ["a b", "c"]
    assert cells.names(table_of("a", 7, True), "x") == ["a", "7", "True"]


@pytest.mark.parametrize(
    ("read", "cell", "expected"),
    [
        (cells.texts, "", "found nothing, expected text"),
        (cells.texts, None, "found nothing, expected text"),
        (cells.texts, "  \t", "found '  \\t', expected text"),
        (cells.texts, float("nan"), "found NaN, expected text"),
        (cells.texts, 3, "found 3, expected text"),
        (cells.names, 1.5, "found 1.5, expected text or an integer"),
        (cells.numbers, "", "found nothing, expected a finite number"),
        (cells.numbers, "1,5", "found '1,5', expected a finite number"),
        (cells.numbers, "nan", "found 'nan', expected a finite number"),
        (cells.numbers, float("inf"), "found Infinity, expected a finite number"),
        (cells.numbers, True, "found true, expected a finite number"),
        (cells.times, "2026-01-31", "found '2026-01-31', expected a number, as in line 2"),
        (cells.times, "nan", "found 'nan', expected a number, as in line 2"),
    ],
)
def test_a_bad_cell(read: Callable[[Table, str], object], cell: object, expected: str) -> None:
    with pytest.raises(InputError) as refused:
        read(table_of("1", cell), "x")
    assert str(refused.value) == f"t.csv, line 3, column 'x': {expected}"


def test_numbers() -> None:
    np.testing.assert_array_equal(cells.numbers(table_of("1", " -2.5 ", "1e3", 4), "x"), [1.0, -2.5, 1000.0, 4.0])


@pytest.mark.parametrize(
    "found",
    [
        ("1", "2.5", "1e3"),
        (2**62, 2**62 + 1),  # nanoseconds: they are not rounded
        ("2026-01-31", "2026-01-31T00:00:01", "2026-02-01"),
        ("2026-01-31T12:00+01:00", "2026-01-31T11:30", "2026-01-31T12:00Z"),
        (date(2026, 1, 31), date(2026, 2, 1)),
        (datetime(2026, 1, 31), datetime(2026, 1, 31, 0, 0, 1)),
    ],
)
def test_times_ascend(found: tuple[object, ...]) -> None:
    times = cells.times(table_of(*found), "x")
    assert times == sorted(set(times))
    assert len(times) == len(found)


@pytest.mark.parametrize("cell", ["", "31.01.2026", "2026-13-01", 5, None])
def test_a_bad_time(cell: object) -> None:
    with pytest.raises(InputError, match=r"line 3, column 'x': found .*, expected a date or time as in ISO 8601"):
        cells.times(table_of("2026-01-31", cell), "x")


def test_times_of_a_parquet_file(write: Write, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    moments = pyarrow.array([10**18 + 1500, 10**18 + 2500], pyarrow.timestamp("ns"))
    write_parquet(tmp_path / "t.parquet", text=moments, label=["a", "a"])
    earlier, later = cells.times(read_table("t.parquet", COLUMNS), "text")
    assert later - earlier == pytest.approx(1e-6, rel=0.2)
