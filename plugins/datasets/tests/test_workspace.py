from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest

from rmtl_bench.contracts import DataError
from rmtl_bench_datasets.workspace import (
    FLAG,
    HEADER_BYTES,
    HEADER_COLUMNS,
    KEY,
    NUMBER,
    TEXT,
    Column,
    check_unique,
    read_csv,
    run,
    workspace,
)

COLUMNS = {"key": KEY, "flag": FLAG, "number": NUMBER, "text": TEXT}
HEADER = "key,flag,number,text\n"
GOOD = HEADER + "1,0,2.5,a\n2,1,,\n"


@pytest.fixture
def con(tmp_path):
    with workspace(tmp_path) as connection:
        yield connection


@pytest.fixture
def read(con, tmp_path):
    def from_text(text: str | bytes, name: str = "raw.csv", where: str = ""):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        read_csv(con, "raw", path, COLUMNS, where)
        return run(con, "SELECT * FROM raw")

    return from_text


def test_a_workspace_is_gone_afterwards(tmp_path):
    with workspace(tmp_path) as con:
        (path,) = (Path(row[0]) for row in run(con, "SELECT path FROM duckdb_databases() WHERE path IS NOT NULL"))
        assert path.exists()
    assert not path.parent.exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain.csv", GOOD),
        ("zipped.csv.gz", gzip.compress(GOOD.encode())),
        ("windows.csv", GOOD.replace("\n", "\r\n")),
        ("marked.csv", "\ufeff" + GOOD),
        ("no-last-newline.csv", GOOD + "3,1,0,b"),
        ("more-columns.csv", "other,key,flag,number,text\nx,1,0,2.5,a\ny,2,1,,\n"),
        ("whole-numbers-as-decimals.csv", HEADER + "1.0,0.0,2.5,a\n2.0,1.0,,\n"),
    ],
)
def test_what_can_be_read(read, name, text):
    assert read(text, name)[:2] == [(1, 0, 2.5, "a"), (2, 1, None, None)]


@pytest.mark.parametrize("name", ["raw*.csv", "ra[vw]x.csv", "raw?.csv"])
def test_a_name_is_no_pattern(read, tmp_path, name):
    (tmp_path / "rawx.csv").write_text(HEADER + "8,1,0,other\n")
    assert read(GOOD, name) == [(1, 0, 2.5, "a"), (2, 1, None, None)]


def test_whole_numbers_are_whole_numbers_in_sql(con, read):
    read(GOOD)
    assert run(con, "SELECT DISTINCT typeof(key), typeof(flag), typeof(number) FROM raw") == [
        ("BIGINT", "BIGINT", "DOUBLE")
    ]


def test_a_part_of_the_rows_can_be_kept(read):
    assert read(GOOD, where="WHERE key = 2") == [(2, 1, None, None)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        (HEADER, "the file has no rows"),
        ("key,flag,number\n1,0,2.5\n", "column 'text' is missing; the header has key, flag, number"),
        ("key,flag,number,text,key\n1,0,2.5,a,1\n", "column 'key' stands twice in the header"),
        (GOOD + "3,1", "line 4: 2 columns instead of 4; is the file cut short?"),
        (GOOD + "3", "line 4: 1 column instead of 4; is the file cut short?"),
        (GOOD + "3,1,2,a,b\n", "line 4: 5 columns instead of 4"),
        (GOOD + '3,1,2,"a\n', "line 4: a quote that is never closed; is the file cut short?"),
        (GOOD + "x,1,2,a\n", "line 4: column 'key' is 'x'; it must be a whole number"),
        (GOOD + "1.5,1,2,a\n", "line 4, column 'key' is 1.5; it must be a whole number"),
        (GOOD + "9007199254740994,1,2,a\n", "line 4, column 'key' is 9007199254740994; it must be a whole number"),
        (GOOD + ",1,2,a\n", "line 4, column 'key' is empty"),
        (GOOD + "3,2,2,a\n", "line 4, column 'flag' is 2; it must be one of 0, 1"),
        (GOOD + "3,0.4,2,a\n", "line 4, column 'flag' is 0.4; it must be one of 0, 1"),
        (GOOD + "3,yes,2,a\n", "line 4: column 'flag' is 'yes'; it must be one of 0, 1"),
        (GOOD + "3,1,many,a\n", "line 4: column 'number' is 'many'; it must be a finite number"),
        (GOOD + "3,1,inf,a\n", "line 4, column 'number' is inf; it must be a finite number"),
        (GOOD + "3,1,nan,a\n", "line 4, column 'number' is nan; it must be a finite number"),
    ],
)
def test_an_error_is_one_line_with_file_line_column_and_value(read, tmp_path, text, message):
    with pytest.raises(DataError) as error:
        read(text)
    assert str(error.value) == f"{tmp_path / 'raw.csv'}: {message}"


def test_an_error_far_down_names_its_line(read):
    with pytest.raises(DataError, match=r"line 150002, column 'flag' is 3"):
        read(HEADER + "1,0,2.5,a\n" * 150_000 + "1,3,2.5,a\n")


def test_a_line_is_not_named_where_rows_were_left_out(read):
    with pytest.raises(DataError, match=r"raw\.csv: column 'flag' is 2"):
        read(GOOD + "3,2,2,a\n", where="WHERE key > 1")


def test_no_row_of_use_is_an_error(read):
    with pytest.raises(DataError, match="the file has no rows of use"):
        read(GOOD, where="WHERE key > 5")


def test_text_that_is_not_utf_8_is_one_line(read):
    with pytest.raises(DataError, match="utf-8") as error:
        read(GOOD.encode() + b"3,1,2,\xe9\xff\n")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kept", [20, 100, 5_000, -8, -1])
def test_a_gzip_file_cut_short_is_one_line(read, kept):
    rows = "".join(f"{row},{row % 2},{row * 0.37},{row * 7919 % 1000}\n" for row in range(5_000))
    with pytest.raises(DataError) as error:
        read(gzip.compress((HEADER + rows).encode())[:kept], "raw.csv.gz")
    assert "raw.csv.gz: " in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", [12, 300])
def test_a_damaged_gzip_file_is_one_line(read, damage):
    data = bytearray(gzip.compress((GOOD + "".join(f"{row},1,0,{row * 7919}\n" for row in range(2_000))).encode()))
    data[damage : damage + 30] = b"\xff" * 30
    with pytest.raises(DataError, match=r"raw\.csv\.gz: ") as error:
        read(bytes(data), "raw.csv.gz")
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_gzip_file_is_one_line(read):
    with pytest.raises(DataError, match="Not a gzipped file"):
        read(GOOD, "raw.csv.gz")


def test_a_value_that_stands_twice_is_named(con, read, tmp_path):
    read(GOOD + "2,0,1,b\n")
    with pytest.raises(DataError, match=r"users\.csv: column 'key' has value 2 twice; it must be unique"):
        check_unique(con, "raw", "key", tmp_path / "users.csv")


def test_values_that_stand_once_are_unique(con, read, tmp_path):
    read(GOOD)
    check_unique(con, "raw", "key", tmp_path / "users.csv")


def test_a_text_column_may_have_few_values(con, tmp_path):
    path = tmp_path / "events.csv"
    path.write_text("event\nview\nlook\n")
    with pytest.raises(DataError, match=r"line 3, column 'event' is 'look'; it must be one of view, cart"):
        read_csv(con, "raw", path, {"event": Column(required=True, values=("view", "cart"))})


# Files from strangers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"x" * (HEADER_BYTES + 10), "field limit"),
        (",".join(f"c{number}" for number in range(HEADER_COLUMNS + 1)).encode() + b"\n", "columns"),
        (b"a" * 5_000 + b"\n", "column 'key' is missing"),
        (b"\x00" * 5_000, "column 'key' is missing"),
        (HEADER.encode() + b"1,0," + b"9" * 5_000 + b",a\n", "column 'number'"),
        (HEADER.encode() + b"1,0," + b"x" * 5_000 + b",a\n", "it must be a finite number"),
        (HEADER.encode() + b'1,0,"x"". Could not convert string ""y"" to",a\n', "it must be"),
        (HEADER.encode() + b"1,0,2.5," + b"a" * 3_000_000 + b"\n", "line"),
    ],
)
def test_what_is_huge_or_made_to_mislead_is_one_short_line(read, text, message):
    with pytest.raises(DataError, match=message) as error:
        read(text)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1_500


def test_a_small_gzip_file_with_a_header_without_end_is_not_read_to_its_end(read):
    packed = gzip.compress(b"x" * 200_000_000, 1)
    assert len(packed) < 1 << 20
    tracemalloc.start()
    with pytest.raises(DataError, match="field limit"):
        read(packed, "raw.csv.gz")
    assert tracemalloc.get_traced_memory()[1] < 20 * HEADER_BYTES
    tracemalloc.stop()
