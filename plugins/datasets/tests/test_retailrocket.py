from __future__ import annotations

import numpy as np
import pytest

from rmtl_bench.contracts import DataError
from rmtl_bench.data.checks import check_table
from rmtl_bench_datasets.retailrocket import PROPERTIES, RetailRocket

DAY = 24 * 60
VIEW, CART, PAID = "view", "addtocart", "transaction"


def late_views(n, start=1000.0, item=1):
    """Views of visitors of their own, after everything of interest, so that this stands in the training split."""
    return [(start + at, 1_000 + at, VIEW, item) for at in range(n)]


@pytest.fixture
def labels(built, write_retailrocket, minute):
    def of(*events, **parameters):
        """Return (click, pay) of each view among ``events``, by its minute."""
        split = parameters.pop("split", (0.6, 0.2, 0.2))
        folder = write_retailrocket([*events, *late_views(2 * len(events))])
        table = built(RetailRocket(split=split, **parameters), folder)
        check_table(table, "retailrocket")
        found = dict(zip(table.timestamp.tolist(), map(tuple, table.labels.astype(int).tolist()), strict=True))
        return [found[minute(at)] for at, _, event, _ in events if event == VIEW]

    return of


# Labels


def test_a_view_before_cart_and_payment_is_click_and_pay(labels):
    assert labels((0, 1, VIEW, 5), (1, 1, CART, 5), (2, 1, PAID, 5)) == [(1, 1)]


def test_a_view_at_the_time_of_the_cart_counts(labels):
    assert labels((3, 1, VIEW, 5), (3, 1, CART, 5)) == [(1, 0)]


def test_a_view_after_the_cart_does_not_count_even_where_payment_follows(labels):
    assert labels((0, 1, VIEW, 5), (1, 1, CART, 5), (2, 1, VIEW, 5), (3, 1, PAID, 5)) == [(1, 1), (0, 0)]


def test_every_view_before_the_last_cart_counts(labels):
    events = [(0, 1, VIEW, 5), (1, 1, CART, 5), (2, 1, VIEW, 5), (3, 1, CART, 5)]
    assert labels(*events) == [(1, 0), (1, 0)]


def test_a_payment_without_a_cart_is_no_pay(labels):
    assert labels((0, 1, VIEW, 5), (1, 1, PAID, 5)) == [(0, 0)]


@pytest.mark.parametrize("other", [(1, 2, CART, 5), (1, 1, CART, 6), (31, 1, CART, 5)])
def test_the_cart_of_another_visitor_item_or_session_does_not_count(labels, other):
    assert labels((0, 1, VIEW, 5), other) == [(0, 0)]


def test_a_label_does_not_look_across_a_split_boundary(labels):
    across = [(0, 1, VIEW, 5), (1, 2, VIEW, 6), (2, 2, VIEW, 6), (3, 1, VIEW, 7), (4, 1, CART, 5)]
    # A fifth of the fourteen views are three: the boundary lies between the view and its cart.
    assert labels(*across, split=(0.2, 0.4, 0.4)) == [(0, 0)] * 4
    assert labels(*across) == [(1, 0), (0, 0), (0, 0), (0, 0)]


def test_pay_is_the_child_of_click(built, write_retailrocket):
    table = built(RetailRocket(), write_retailrocket(late_views(10)))
    assert [(task.name, task.parent) for task in table.schema.tasks] == [("click", None), ("pay", "click")]


@pytest.mark.parametrize("sessions", ["gap", "visitor"])
def test_labels_of_random_events_are_those_of_plain_loops(built, write_retailrocket, minute, sessions):
    random = np.random.default_rng(3)
    minutes = np.sort(random.choice(6_000, 400, replace=False)) / 4
    kinds = random.choice([VIEW, CART, PAID], 400, p=[0.6, 0.25, 0.15])
    events = [
        (float(at), int(random.integers(8)), str(kind), int(random.integers(3)))
        for at, kind in zip(minutes, kinds, strict=True)
    ]
    table = built(RetailRocket(sessions=sessions, gap_minutes=20), write_retailrocket(events))
    check_table(table, sessions)

    starts = [table.timestamp[table.split(name)].min() for name in ("valid", "test")]
    last, session, of_event = {}, {}, []
    for at, visitor, kind, item in events:
        if sessions == "gap" and at - last.get(visitor, at) > 20:
            session[visitor] = session.get(visitor, 0) + 1
        last[visitor] = at
        split = sum(minute(at) >= start for start in starts)
        of_event.append((at, kind, (visitor, session.get(visitor, 0), split, item)))
    expected = {}
    for at, kind, where in of_event:
        if kind == VIEW:
            later = {other for when, other, there in of_event if there == where and when >= at}
            expected[minute(at)] = (CART in later, {CART, PAID} <= later)
    assert {int(t): tuple(row) for t, row in zip(table.timestamp, table.labels, strict=True)} == expected


# Rows, sessions and splits


def test_every_view_is_a_row_and_exact_duplicates_are_dropped(built, write_retailrocket):
    first, *rest = late_views(10)
    table = built(RetailRocket(), write_retailrocket([first, first, *rest, (2000, 1, CART, 5)]))
    assert len(table) == 10
    assert (table.notes["events_logged"], table.notes["events_distinct"]) == (12, 11)


def test_any_event_keeps_a_session_alive_and_a_longer_pause_ends_it(built, write_retailrocket):
    events = [(0, 1, VIEW, 5), (30, 1, CART, 6), (60, 1, VIEW, 5), (90.1, 1, VIEW, 5)]
    table = built(RetailRocket(), write_retailrocket(events + late_views(10)))
    assert table.session[:3].tolist() == [0, 0, 1]
    assert table.session_end[:3].tolist() == [0, 1, 1]


def test_a_visitor_can_be_one_session(built, write_retailrocket):
    events = [(0, 1, VIEW, 5), (400, 1, VIEW, 5)]
    table = built(RetailRocket(sessions="visitor"), write_retailrocket(events + late_views(10)))
    assert table.session[:3].tolist() == [0, 0, 1]


def test_a_session_cut_by_a_split_is_marked_2(built, write_retailrocket):
    table = built(RetailRocket(), write_retailrocket([(at, 1, VIEW, 5) for at in range(10)]))
    assert table.split_sizes == (6, 2, 2)
    assert table.session_end.tolist() == [0, 0, 0, 0, 0, 2, 0, 2, 0, 1]


def test_shares_are_shares_of_the_views(built, write_retailrocket):
    carts = [(1 + at / 100, 7, CART, 5) for at in range(100)]
    events = [(0, 7, VIEW, 5), *carts, *late_views(19)]
    assert built(RetailRocket(), write_retailrocket(events)).split_sizes == (12, 4, 4)


def test_short_sessions_can_be_left_out_counted_before_a_boundary_cuts_them(built, write_retailrocket, minute):
    events = [(0, 1, VIEW, 5), (1, 2, VIEW, 5), (2, 2, CART, 5)]
    pairs = [(100 * at + step, 10 + at, VIEW, 5) for at in range(1, 7) for step in (0, 2)]
    table = built(RetailRocket(min_session_rows=2, split=(0.25, 0.25, 0.5)), write_retailrocket(events + pairs))
    assert len(table) == 12
    assert table.timestamp.min() == minute(100)
    assert np.bincount(table.session_end, minlength=3).tolist() == [5, 6, 1]


def test_two_builds_are_equal(built, write_retailrocket, arrays):
    folder = write_retailrocket(late_views(50))
    first, second = (arrays(built(RetailRocket(), folder)) for _ in range(2))
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)


# Features


@pytest.fixture
def fields(minute):
    def at(table, name, *minutes):
        """Return the ids of field ``name`` in the views at ``minutes``."""
        column = [field.name for field in table.schema.categorical].index(name)
        ids = dict(zip(table.timestamp.tolist(), table.categorical[:, column].tolist(), strict=True))
        return [ids[minute(when)] for when in minutes]

    return at


def test_hours_and_weekdays_are_those_of_utc(built, write_retailrocket, fields):
    # The first minute is 16:00 on a Sunday in UTC; the ids are in the order of hours and of days from Monday on.
    views = [(at, int(at), VIEW, 5) for at in (0, 59, 60, 8 * 60)]
    table = built(RetailRocket(min_count=1), write_retailrocket(views + late_views(10, start=3 * DAY)))
    assert fields(table, "hour", 0, 59, 60, 8 * 60) == [2, 2, 3, 1]
    assert fields(table, "weekday", 0, 60, 8 * 60) == [3, 3, 1]


def test_position_and_pause_are_logarithms_standardised_on_train(built, write_retailrocket):
    events = [(0, 1, VIEW, 5), (1, 1, CART, 5), (3, 1, VIEW, 5), (10, 1, VIEW, 5), (100, 1, VIEW, 5)]
    table = built(RetailRocket(), write_retailrocket([*events, *late_views(6)]))
    assert table.split_sizes == (6, 2, 2)
    position = np.log([1, 2, 3, 1, 1, 1])
    pause = np.log1p([120, 420])
    assert table.numerical[:6, 0] == pytest.approx((position - position.mean()) / position.std(), abs=1e-6)
    assert table.numerical[1:3, 1] == pytest.approx((pause - pause.mean()) / pause.std(), abs=1e-6)
    assert not table.numerical[[0, 3, 4, 5], 1].any()


def test_a_vocabulary_is_fitted_on_the_training_split(built, write_retailrocket, fields):
    table = built(RetailRocket(), write_retailrocket(late_views(8, item=7) + late_views(6, start=2000, item=9)))
    assert fields(table, "item", 1000, 2005) == [1, 0]


def test_without_property_files_there_are_no_categories_and_a_note_says_so(built, write_retailrocket):
    folder = write_retailrocket(late_views(10), tree=[(1, "")])
    table = built(RetailRocket(), folder)
    assert [field.name for field in table.schema.categorical] == ["item", "hour", "weekday"]
    assert table.notes["item_properties"] == "no property file was there: no category fields"
    assert RetailRocket().raw_files(folder) == [folder / "retailrocket" / "events.csv"]


def test_a_property_holds_from_its_time_stamp_on(built, write_retailrocket, fields):
    properties = [(10, 5, "categoryid", "1"), (20, 5, "categoryid", "2"), (0, 6, "categoryid", "2")]
    views = [(at, int(at * 10), VIEW, 5) for at in (9.9, 10, 19.9, 20, 500)]
    folder = write_retailrocket(views + late_views(10), properties, [(1, ""), (2, "")])
    table = built(RetailRocket(min_count=1), folder)
    check_table(table, "retailrocket")
    assert fields(table, "category", 9.9, 10, 19.9, 20, 500) == [0, 1, 1, 2, 2]
    assert [field.name for field in table.schema.categorical] == [
        "item",
        "hour",
        "weekday",
        *PROPERTIES,
        "root_category",
    ]
    assert len(RetailRocket().raw_files(folder)) == 3


def test_other_properties_are_fields_of_their_own(built, write_retailrocket, fields):
    properties = [(0, 5, "available", "1"), (0, 5, "785", "n1.000"), (0, 6, "785", "n2.000"), (0, 5, "4", "x")]
    views = [(1, 1, VIEW, 5), (2, 2, VIEW, 6)]
    folder = write_retailrocket(views + late_views(10), properties, [(1, "")])
    table = built(RetailRocket(min_count=1), folder)
    assert fields(table, "available", 1, 2) == [1, 0]
    assert fields(table, "property_785", 1, 2) == [1, 2]
    assert fields(table, "property_591", 1, 2) == [0, 0]


def test_both_property_files_are_read(built, write_retailrocket, fields):
    folder = write_retailrocket([(1, 1, VIEW, 5), *late_views(10)], [(0, 5, "categoryid", "1")], [(1, ""), (2, "")])
    first = folder / "retailrocket" / "item_properties_part1.csv"
    second = first.with_name("item_properties_part2.csv")
    second.write_text(first.read_text().replace(",5,categoryid,1", ",1,categoryid,2"))
    table = built(RetailRocket(min_count=1), folder)
    assert fields(table, "category", 1, 1000) == [1, 2]
    assert table.notes["item_properties"] == [first.name, second.name]


def test_the_root_category_is_the_top_of_the_tree(built, write_retailrocket, fields):
    tree = [(1, ""), (2, ""), (5, 1), (10, 5), (20, 2), (30, 31), (31, 30)]
    categories = {1: "10", 2: "5", 3: "1", 4: "20", 5: "30", 6: "99"}
    views = [(item, item, VIEW, item) for item in categories]
    properties = [(0, item, "categoryid", category) for item, category in categories.items()]
    folder = write_retailrocket(views + late_views(20, item=77), properties, tree)
    table = built(RetailRocket(min_count=1), folder)
    # A category of a circle, and one that is not in the tree, have no root.
    assert fields(table, "root_category", *categories) == [1, 1, 1, 2, 0, 0]


# Errors


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("events.csv", ",view,", ",look,", "line 2, column 'event' is 'look'; it must be one of view, addtocart"),
        ("events.csv", "visitorid", "visitor", "column 'visitorid' is missing"),
        ("events.csv", "1009,view,1,\n", "1009,vi", r"line 11: 3 columns instead of 5; is the file cut short\?"),
        ("category_tree.csv", "2,1\n", "2,1\n2,1\n", "column 'categoryid' has value 2 twice"),
        ("category_tree.csv", "2,1\n", "2,one\n", "line 3: column 'parentid' is 'one'; it must be a whole number"),
        ("item_properties_part1.csv", ",5,", ",five,", "line 2: column 'itemid' is 'five'; it must be a whole number"),
        ("item_properties_part1.csv", "categoryid", "888", "the file has no rows of use"),
    ],
)
def test_a_malformed_file_is_one_line_that_names_it(built, write_retailrocket, file, old, new, message):
    folder = write_retailrocket(late_views(10), [(0, 5, "categoryid", "2")], [(1, ""), (2, 1)])
    path = folder / "retailrocket" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(DataError, match=message) as error:
        built(RetailRocket(), folder)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_missing_files_say_where_they_were_looked_for(tmp_path):
    for call in (RetailRocket().raw_files, lambda place: RetailRocket().build(place, place)):
        with pytest.raises(DataError, match="raw files are missing") as error:
            call(tmp_path)
        assert f"looked for in: {tmp_path / 'retailrocket'}, " in str(error.value)
        assert "item_properties_part2.csv" in str(error.value)


def test_properties_without_the_tree_are_missing_files(built, write_retailrocket):
    with pytest.raises(DataError, match=r"category_tree\.csv"):
        built(RetailRocket(), write_retailrocket(late_views(10), [(0, 5, "categoryid", "2")]))


def test_too_few_views_are_an_error(built, write_retailrocket):
    with pytest.raises(DataError, match="too few to split"):
        built(RetailRocket(), write_retailrocket([(0, 1, VIEW, 5)]))
