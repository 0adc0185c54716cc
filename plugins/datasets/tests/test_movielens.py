from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest

from rmtl_bench.contracts import DataError, UsageError
from rmtl_bench.data.checks import check_table
from rmtl_bench_datasets.movielens import FIELDS, MovieLens1M

MINUTE, START = 60, 960_000_000
MOVIES = {number: (f"Film {number} ({1930 + number})", "Comedy|Drama" if number % 2 else "Horror") for number in (2, 3)}
CATALOGUE = {
    number: (f"Film {number} ({1930 + number})", "Comedy|Drama" if number % 2 else "Horror") for number in range(1, 41)
}


def ratings_of(*minutes, user=1, stars=5, first=1):
    """Ratings of one movie after the other, at these minutes."""
    return [(user, movie, stars, START + int(at * MINUTE)) for movie, at in enumerate(minutes, first)]


def drawn_ratings(count, seed=0):
    random = np.random.default_rng(seed)
    pairs = random.choice(8 * len(CATALOGUE), count, replace=False)
    times = START + random.integers(300, size=count) * 5 * MINUTE
    return [
        (int(pair % 8), int(pair // 8) + 1, int(random.integers(1, 6)), int(time))
        for pair, time in zip(pairs, times, strict=True)
    ]


@pytest.fixture
def write(tmp_path):
    def files(ratings, movies=CATALOGUE, folder="ml-1m", users=None):
        place = tmp_path / folder
        place.mkdir(parents=True, exist_ok=True)
        known = sorted({user for user, *_ in ratings}) if users is None else users
        for name, lines in {
            "ratings.dat": ratings,
            "users.dat": [(user, "FM"[user % 2], 25, 4, f"5511{user}-0000") for user in known],
            "movies.dat": [(number, *rest) for number, rest in movies.items()],
        }.items():
            text = "".join("::".join(map(str, line)) + "\n" for line in lines)
            (place / name).write_bytes(text.encode("latin-1"))
        return tmp_path

    return files


def column(table, name):
    return table.categorical[:, [field.name for field in table.schema.categorical].index(name)]


def expected_rows(ratings, movies, negatives, seed, liked_from):
    """Plain loops over the ratings: (time, user, movie, rated, liked) of every row."""
    numbers, rows = sorted(movies), []
    for user, movie, stars, seconds in ratings:
        rated_by_then = {other for who, other, _, when in ratings if who == user and when <= seconds}
        texts = ("-".join(map(str, (user, movie, seconds * 1000, draw, seed))) for draw in range(negatives))
        # Of an MD5, DuckDB's number has the first byte as its lowest; taken are the lower 64 bits.
        digests = (hashlib.md5(text.encode()).digest() for text in texts)  # noqa: S324
        drawn = {numbers[int.from_bytes(digest[:8], "little") % len(numbers)] for digest in digests}
        rows.append((seconds * 1000, user, movie, 1, int(stars >= liked_from)))
        rows += [(seconds * 1000, user, other, 0, 0) for other in drawn - rated_by_then]
    return Counter(rows)


# Rows and labels


@pytest.mark.parametrize("parameters", [{}, {"negatives": 9, "seed": 3, "liked_from": 3}])
def test_the_rows_are_those_of_plain_loops(built, write, parameters):
    ratings = drawn_ratings(120)
    table = built(MovieLens1M(min_count=1, **parameters), write(ratings))
    check_table(table, "movielens")
    given = {"negatives": 4, "seed": 0, "liked_from": 4} | parameters
    expected = expected_rows(ratings, CATALOGUE, **given)
    assert sum(expected.values()) == len(table)
    labels = Counter((time, rated, liked) for time, _, _, rated, liked in expected.elements())
    assert labels == Counter(zip(table.timestamp.tolist(), *table.labels.astype(int).T.tolist(), strict=True))
    # Ids are in the order of the values that stand in the training split.
    train = table.timestamp < table.timestamp[table.split("valid")].min()
    pairs = Counter(zip(table.timestamp.tolist(), column(table, "movie").tolist(), strict=True))
    cut = table.timestamp[table.split("valid")].min()
    ids = {movie: number for number, movie in enumerate(sorted({m for t, _, m, *_ in expected if t < cut}), 1)}
    assert train.sum() == table.split_sizes[0]
    assert pairs == Counter((time, ids.get(movie, 0)) for time, _, movie, *_ in expected.elements())
    assert table.notes["negatives_kept"] == len(table) - len(ratings)


def test_liked_is_the_child_of_rated(built, write):
    table = built(MovieLens1M(), write(drawn_ratings(40)))
    assert [(task.name, task.parent) for task in table.schema.tasks] == [("rated", None), ("liked", "rated")]
    assert [field.name for field in table.schema.categorical] == list(FIELDS)
    assert table.schema.numerical == ()


def test_what_the_user_had_rated_by_then_is_no_negative_but_what_comes_later_is(built, write):
    # Of two movies, the first rating can draw the one rated later, the second rating none.
    ratings = [(1, 2, 5, START), (1, 3, 5, START + 1), *((user, 2, 5, START + user) for user in range(2, 40))]
    table = built(MovieLens1M(min_count=1, negatives=50), write(ratings, MOVIES))
    times = dict(Counter(table.timestamp.tolist()))
    assert times[START * 1000] == 2
    assert times[START * 1000 + 1000] == 1
    # At one time the user's ratings are all known.
    both = [(user, movie, 5, START + user) for user in range(10) for movie in (2, 3)]
    assert len(built(MovieLens1M(negatives=50), write(both, MOVIES))) == 20


def test_negatives_do_not_show_by_their_place_beside_the_rating(built, write):
    ratings = [(user, 1 + user % 40, 5, START + user * 86_400) for user in range(300)]
    table = built(MovieLens1M(), write(ratings))
    firsts = np.flatnonzero(np.diff(table.session, prepend=-1))
    assert table.labels[firsts, 0].mean() == pytest.approx(300 / len(table), abs=0.08)


def test_exact_duplicates_of_a_rating_are_dropped(built, write):
    ratings = drawn_ratings(40)
    table = built(MovieLens1M(), write([*ratings, *ratings[:7]]))
    assert (table.notes["ratings_logged"], table.notes["ratings_distinct"]) == (47, 40)
    assert table.labels[:, 0].sum() == 40


def test_the_order_of_the_lines_in_the_files_does_not_matter(built, write, arrays):
    ratings = drawn_ratings(150)
    first = arrays(built(MovieLens1M(), write(ratings)))
    random = np.random.default_rng(5)
    movies = {number: CATALOGUE[number] for number in random.permutation(list(CATALOGUE)).tolist()}
    mixed = [ratings[at] for at in random.permutation(len(ratings))]
    second = arrays(built(MovieLens1M(), write(mixed, movies, users=list(range(7, -1, -1)))))
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)


# Sessions and splits


def test_a_pause_ends_a_session_or_the_user_is_one_and_negatives_belong_to_it(built, write):
    ratings = ratings_of(0, 30, 61) + [(2, 1, 3, START + (1000 + at) * MINUTE) for at in range(6)]
    table = built(MovieLens1M(), write(ratings))
    assert table.session[table.timestamp < (START + 500 * MINUTE) * 1000].max() == 1
    early = table.timestamp <= (START + 30 * MINUTE) * 1000
    assert set(table.session[early].tolist()) == {0}
    assert set(table.user[table.session == 0].tolist()) == {0}
    whole = built(MovieLens1M(sessions="user"), write(ratings))
    assert set(whole.session[whole.user == 0].tolist()) == {0}


def test_shares_are_shares_of_the_ratings_in_time_and_a_session_is_cut_or_dropped(built, write):
    ratings = ratings_of(*range(10)) + ratings_of(*range(1, 30, 3), user=2, first=20)
    cut = built(MovieLens1M(), write(ratings))
    check_table(cut, "movielens")
    rated = [int(cut.labels[cut.split(name), 0].sum()) for name in ("train", "valid", "test")]
    assert rated == [12, 4, 4]
    assert cut.notes["sessions_cut_by_a_split"] == 3
    lone = [(user, 9, 4, START + (user - 3) * MINUTE) for user in range(3, 33)]
    dropped = built(MovieLens1M(at_boundary="drop"), write([*ratings, *lone]))
    check_table(dropped, "movielens")
    assert dropped.notes["sessions_cut_by_a_split"] == 0
    assert dropped.notes["sessions_dropped_at_a_split"] == 1


def test_a_split_that_is_none_is_refused():
    with pytest.raises(UsageError, match="'split' is"):
        MovieLens1M(split=(0.5, 0.5, 0.5))


# Fields


def test_fields_come_from_title_genres_zip_and_time(built, write):
    movies = {
        1: ("Cité, La (1995)", "Drama|Thriller"),
        2: ("2001: A Space Odyssey (1968)", "Drama|Mystery|Sci-Fi|Thriller"),
        3: ("No Year", "Comedy"),
    }
    ratings = [(user, 1 + user % 3, 4, START + user * 3600) for user in range(60)]
    table = built(MovieLens1M(min_count=1), write(ratings, movies))
    sizes = {field.name: field.size for field in table.schema.categorical}
    # All users have the same first three signs of their zip code; the third title has no year.
    assert {name: sizes[name] for name in ("year", "genre", "genres", "gender", "zip", "hour", "age")} == {
        "year": 3,
        "genre": 3,
        "genres": 4,
        "gender": 3,
        "zip": 2,
        "hour": 25,
        "age": 2,
    }
    assert sorted(set(zip(column(table, "movie").tolist(), column(table, "year").tolist(), strict=True))) == [
        (1, 2),
        (2, 1),
        (3, 0),
    ]


def test_a_vocabulary_is_fitted_on_the_training_split(built, write):
    ratings = [(user, 1, 4, START + user) for user in range(20)]
    table = built(MovieLens1M(min_count=1), write(ratings))
    users = column(table, "user")
    assert users[table.split("train")].min() == 1
    assert not users[table.split("valid")].any()
    assert not users[table.split("test")].any()


# Files


def test_the_files_are_found_where_the_archive_unpacks(write):
    for folder in ("ml-1m", "movielens-1m/ml-1m", "movielens-1m"):
        found = MovieLens1M().raw_files(write(ratings_of(1), folder=folder))
        assert [path.name for path in found] == ["ratings.dat", "users.dat", "movies.dat"]
        assert found[0].parent.as_posix().endswith(folder)


def test_missing_files_say_where_they_were_looked_for(built, write, tmp_path):
    write(ratings_of(1))
    (tmp_path / "ml-1m/movies.dat").unlink()
    with pytest.raises(DataError, match="movielens-1m: raw files are missing") as error:
        built(MovieLens1M(), tmp_path)
    assert str(tmp_path / "ml-1m") in str(error.value)
    assert "movies.dat" in str(error.value)


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("ratings.dat", "1::1::6::960000000", "line 9, column 'rating' is '6'; it must be one of 1, 2, 3, 4, 5"),
        ("ratings.dat", "1::1::4::noon", "line 9, column 'seconds' is 'noon'; it must be a whole number"),
        ("ratings.dat", "1::1::4::1.5", "line 9, column 'seconds' is '1.5'; it must be a whole number"),
        ("ratings.dat", "1::::4::960000000", "line 9, column 'movie' is empty"),
        ("ratings.dat", "1::1::4", "line 9: 3 values instead of 4; is the file cut short?"),
        ("ratings.dat", "1::99::4::960000000", "column 'movie' has value 99, which movies.dat does not have"),
        ("users.dat", "1::F::1::10::48067", "column 'user' has value 1 twice; it must be unique"),
        ("movies.dat", "41::Film", "line 41: 2 values instead of 3; is the file cut short?"),
    ],
)
def test_a_malformed_line_is_one_line_that_names_it(built, write, file, line, message):
    path = write(ratings_of(*range(8))) / "ml-1m" / file
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DataError) as error:
        built(MovieLens1M(), path.parents[1])
    assert str(error.value) == f"{path}: {message}"


def test_too_few_ratings_are_an_error(built, write):
    with pytest.raises(DataError, match="too few to split"):
        built(MovieLens1M(), write(ratings_of(1)))
