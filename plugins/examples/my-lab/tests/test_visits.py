from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from my_lab.visits import Visits, VisitsExample
from rmtl_bench.contracts import DataError, UsageError

HEADER = "user_id,item_id,category,price,time_ms,click,purchase\n"
MINUTE = 60_000


def line(user="u", item="i", category="c", price="1.5", minute=0, click="0", purchase="0") -> str:
    return f"{user},{item},{category},{price},{minute * MINUTE},{click},{purchase}\n"


def write(folder: Path, *lines: str, name: str = "visits.csv", header: str = HEADER) -> None:
    (folder / "visits").mkdir(exist_ok=True)
    (folder / "visits" / name).write_text(header + "".join(lines))


def table(folder: Path, **parameters):
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    return Visits(**{"min_count": 1, **parameters}).build(folder, scratch)


def test_a_session_ends_at_a_pause_and_is_cut_by_a_split(tmp_path):
    minutes = [0, 10, 50, 60, 70, 80, 90, 100, 110, 120]
    write(tmp_path, *(line(minute=minute) for minute in minutes))
    built = table(tmp_path)
    assert built.split_sizes == (6, 2, 2)
    assert built.session.tolist() == [0, 0, 1, 1, 1, 1, 2, 2, 3, 3]
    assert built.session_end.tolist() == [0, 1, 0, 0, 0, 2, 0, 2, 0, 1]


def test_labels_are_the_joint_event_and_an_unknown_purchase_is_masked(tmp_path):
    labels = [("0", ""), ("1", ""), ("1", "1"), ("0", "1"), ("1", "0")]
    write(tmp_path, *(line(minute=n, click=c, purchase=p) for n, (c, p) in enumerate(labels)))
    built = table(tmp_path)
    assert built.labels.tolist() == [[0, 0], [1, 0], [1, 1], [0, 0], [1, 0]]
    assert built.label_mask.tolist() == [[True, True], [True, False], [True, True], [True, True], [True, True]]
    assert built.notes["purchases_unknown"] == 1


def test_vocabularies_and_the_scale_of_prices_come_from_the_training_rows(tmp_path):
    rows = [("a", "1"), ("b", ""), ("a", "3"), ("new", "9"), ("a", "2")]
    write(tmp_path, *(line(item=item, price=price, minute=n) for n, (item, price) in enumerate(rows)))
    built = table(tmp_path)
    assert built.categorical[:, 1].tolist() == [1, 2, 1, 0, 1]
    assert built.numerical[:, 0].tolist() == [-1, 0, 1, 7, 0]


def test_neither_the_order_of_lines_nor_of_files_nor_a_line_twice_changes_the_table(tmp_path):
    lines = [line(user=f"u{n % 3}", item=f"i{n % 4}", minute=n // 2, click=str(n % 2)) for n in range(20)]
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
    write(tmp_path / "one", *lines)
    write(tmp_path / "other", *lines[12:], *lines[:3], name="visits-a.csv")
    write(tmp_path / "other", *reversed(lines[:12]), name="visits-b.csv")
    one, other = table(tmp_path / "one"), table(tmp_path / "other")
    for name in ("categorical", "numerical", "labels", "session", "user", "timestamp", "session_end"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert (other.notes["rows_read"], other.notes["rows_distinct"]) == (23, 20)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (HEADER + line(), "visits: 1 distinct rows are too few to split"),
        (HEADER + line() + line(click="2"), "visits.csv: line 3, column 'click' is '2'; it must be 0 or 1"),
        (HEADER + line(price="cheap"), "line 2, column 'price' is 'cheap'; it must be a number or empty"),
        (HEADER + line(user=""), "line 2, column 'user_id' is ''; it must be not empty"),
        (HEADER + "u,i,c,1,1e3,0,0\n", "'time_ms' is '1e3'; it must be whole milliseconds since 1970"),
        (HEADER + line(purchase="yes"), "column 'purchase' is 'yes'; it must be 0, 1 or empty"),
        (HEADER + line() + "u,i,c\n", "visits.csv: .*Line: 3"),
        ("user_id,item_id\nu,i\n", "column 'category' is missing; the header has user_id, item_id"),
        ("", "column 'user_id' is missing"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(tmp_path, content, said):
    write(tmp_path, header=content)
    with pytest.raises(DataError, match=said) as raised:
        table(tmp_path)
    assert "\n" not in str(raised.value)


def test_missing_files_and_shares_that_cannot_be_are_named(tmp_path):
    with pytest.raises(DataError, match=r"no visits\.csv and no visits-\*\.csv in "):
        Visits().raw_files(tmp_path)
    with pytest.raises(UsageError, match="three positive shares"):
        Visits(split=(0.5, 0.5, 0.5))


def test_the_example_is_what_its_script_draws(tmp_path):
    script = Path(__file__).parents[1] / "draw_example.py"
    drawn = tmp_path / "visits.csv"
    subprocess.run([sys.executable, str(script), str(drawn)], check=True)
    assert drawn.read_text() == VisitsExample().raw_files(tmp_path)[0].read_text()
