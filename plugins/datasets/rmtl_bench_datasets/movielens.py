"""MovieLens-1M: which movies people rated, and which of them they liked.

Harper and Konstan, *The MovieLens Datasets: History and Context*, ACM TiiS 5(4), 2015; GroupLens
(https://grouplens.org/datasets/movielens/1m/), for research: no commercial use and no redistribution without
permission. 1,000,209 ratings of 1 to 5 stars by 6,040 users who joined in 2000, each with 20 ratings or more; 3,883
movies, of whose numbers up to 3,952 some are missing.

A user's ratings are mostly close together in time: a split by time leaves most users on one side of a boundary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from rmtl_bench.contracts.dataset import Dataset, SessionTable
from rmtl_bench.contracts.errors import DataError
from rmtl_bench.contracts.schema import Task
from rmtl_bench_datasets.columns import assemble
from rmtl_bench_datasets.content import hashed
from rmtl_bench_datasets.delimited import read_delimited
from rmtl_bench_datasets.rawfiles import find_file, missing_files
from rmtl_bench_datasets.sessions import add_sessions, add_splits, check_shares, cut_times, lay_out
from rmtl_bench_datasets.workspace import KEY, TEXT, Column, check_unique, run, workspace

FIELDS = ("user", "movie", "gender", "age", "occupation", "zip", "year", "genre", "genres", "hour")
"""The categorical fields: zip is the first three signs, genre the first of all genres, hour that of UTC."""

_RATING_COLUMNS: Mapping[str, Column] = {
    "user": KEY,
    "movie": KEY,
    "rating": Column("BIGINT", required=True, values=(1, 2, 3, 4, 5)),
    "seconds": KEY,
}
_USER_COLUMNS: Mapping[str, Column] = {"user": KEY, "gender": TEXT, "age": TEXT, "occupation": TEXT, "zip": TEXT}
_MOVIE_COLUMNS: Mapping[str, Column] = {"movie": KEY, "title": TEXT, "genres": TEXT}

_FILES = {"ratings.dat": _RATING_COLUMNS, "users.dat": _USER_COLUMNS, "movies.dat": _MOVIE_COLUMNS}

_RATINGS = """
    CREATE TABLE distinct_ratings AS
    SELECT
        "user" AS user_key, "user", movie, rating, seconds * 1000 AS time_ms,
        row_number() OVER (ORDER BY seconds, "user", movie, rating) AS tie
    FROM (SELECT DISTINCT * FROM ratings)
"""

# A movie is drawn by its place in the order of the catalogue; one drawn twice for a rating is one row.
_DRAWS = """
    CREATE TABLE draws AS
    WITH catalogue AS (
        SELECT movie, row_number() OVER (ORDER BY movie) - 1 AS place FROM movies
    ), drawn AS (
        SELECT
            r.tie, r."user", r.time_ms,
            ({hash} % (SELECT count(*)::UBIGINT FROM movies))::BIGINT AS place
        FROM distinct_ratings AS r, range($negatives) AS draws(draw)
    )
    SELECT DISTINCT tie, "user", time_ms, movie FROM drawn JOIN catalogue USING (place)
"""

# What the user rates only later is a negative as any other: to leave it out would be to look into the future.
_NEGATIVES = """
    CREATE TABLE negatives AS
    WITH first_rated AS (
        SELECT "user", movie, min(time_ms) AS rated_ms FROM distinct_ratings GROUP BY ALL
    )
    SELECT tie, movie
    FROM draws LEFT JOIN first_rated USING ("user", movie)
    WHERE rated_ms IS NULL OR rated_ms > time_ms
"""

# The rows of a rating, itself and its negatives, stand in an order that does not tell which one it is.
_ROWS = """
    CREATE TABLE rows AS
    WITH shown AS (
        SELECT tie AS rating_tie, movie, rating AS stars FROM distinct_ratings
        UNION ALL
        SELECT tie, movie, NULL FROM negatives
    )
    SELECT
        rating_tie, movie, stars,
        row_number() OVER (
            ORDER BY rating_tie, {hash}, movie
        ) AS tie
    FROM shown
"""

_EXAMPLES = """
    CREATE VIEW examples AS
    SELECT
        s.user_key, s.bucket, s.time_ms, s.split, rows.tie,
        s."user", rows.movie,
        u.gender, u.age, u.occupation, u.zip[:3] AS zip,
        nullif(regexp_extract(m.title, '\\((\\d{{4}})\\)$', 1), '') AS year,
        string_split(m.genres, '|')[1] AS genre, m.genres,
        s.time_ms // 3600000 % 24 AS hour,
        (stars IS NOT NULL)::INTEGER AS rated, coalesce(stars >= {liked_from}, false)::INTEGER AS liked
    FROM rows
    JOIN split_ratings AS s ON s.tie = rows.rating_tie
    JOIN users AS u ON u."user" = s."user"
    JOIN movies AS m ON m.movie = rows.movie
"""


class MovieLens1M(Dataset):
    """MovieLens-1M: every rating is a row, and so are movies not rated; the tasks are rated and its child liked.

    ``liked`` is a rating of ``liked_from`` stars or more. The log holds ratings alone, so ``rated`` needs rows without
    one: for each rating ``negatives`` movies are drawn from the whole catalogue, alike likely, by a hash of the rating
    and the ``seed``, and those are left out that the user had rated by then, or that were drawn twice. Their time and
    session are the rating's. The hash decides in which order a rating and its negatives stand.

    A session ends where the user pauses for more than ``gap_minutes`` between ratings, or is the whole user. The split
    is by time, in shares of the ratings; a session that it parts is cut, or dropped (``at_boundary``). Hours are of
    UTC. Exact duplicates of a rating are dropped.
    """

    def __init__(
        self,
        *,
        liked_from: int = 4,
        negatives: int = 4,
        sessions: str = "gap",
        gap_minutes: float = 30.0,
        split: Sequence[float] = (0.6, 0.2, 0.2),
        seed: int = 0,
        min_count: int = 2,
        at_boundary: str = "cut",
    ) -> None:
        self._liked_from, self._negatives, self._seed = liked_from, negatives, seed
        self._sessions, self._gap_minutes = sessions, gap_minutes
        self._shares, self._min_count, self._at_boundary = check_shares(split), min_count, at_boundary

    def raw_files(self, data_dir: Path) -> list[Path]:
        """Return the ratings, the users and the movies."""
        places = [data_dir / folder for folder in ("movielens-1m", "movielens-1m/ml-1m", "ml-1m")]
        for place in places:
            found = [path for path in (find_file(place, name) for name in _FILES) if path]
            if len(found) == len(_FILES):
                return found
        raise missing_files("movielens-1m", list(_FILES), places)

    def build(self, data_dir: Path, scratch: Path) -> SessionTable:
        """Return the table; see the class for what its rows, labels and sessions are."""
        files = self.raw_files(data_dir)
        with workspace(scratch) as con:
            _read(con, files)
            run(con, _RATINGS)
            add_sessions(con, "distinct_ratings", "sessioned", self._sessions, self._gap_minutes)
            add_splits(con, "sessioned", "split_ratings", cut_times(con, "sessioned", self._shares))
            draws = _DRAWS.format(hash=hashed('r."user"', "r.movie", "r.time_ms", "draw", "$seed"))
            run(con, draws, {"negatives": self._negatives, "seed": self._seed})
            run(con, _NEGATIVES)
            run(con, _ROWS.format(hash=hashed("rating_tie", "movie", "$seed")), {"seed": self._seed})
            run(con, _EXAMPLES.format(liked_from=self._liked_from))
            dropped = lay_out(con, "examples", self._at_boundary)
            counts = {
                table: run(con, f"SELECT count(*) FROM {table}")[0][0]  # noqa: S608
                for table in ("ratings", "distinct_ratings", "negatives")
            }
            notes = {
                "source": "MovieLens 1M, Harper and Konstan, 2015, GroupLens",
                "ratings_logged": counts["ratings"],
                "ratings_distinct": counts["distinct_ratings"],
                "negatives_drawn": counts["distinct_ratings"] * self._negatives,
                "negatives_kept": counts["negatives"],
                "labels": f"rated: a rating, against movies drawn at random; liked: {self._liked_from} stars or more",
                **dropped,
            }
            tasks = [
                Task("rated", None, "the user rated the movie then; the other rows are movies drawn at random"),
                Task("liked", "rated", f"the user rated the movie with {self._liked_from} stars or more"),
            ]
            return assemble(con, scratch, FIELDS, (), tasks, self._min_count, notes)


def _read(con: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> None:
    """Create ``ratings``, ``users`` and ``movies``; every rating's user and movie are among them."""
    ratings, users, movies = files
    for path, columns in zip(files, _FILES.values(), strict=True):
        encoding = "latin-1" if path is movies else "utf-8"
        read_delimited(con, path.name.partition(".")[0], path, columns, "::", encoding=encoding)
    for path, table, column in ((users, "users", "user"), (movies, "movies", "movie")):
        check_unique(con, table, column, path)
        query = f'SELECT "{column}" FROM ratings WHERE "{column}" NOT IN (SELECT "{column}" FROM {table}) ORDER BY 1'  # noqa: S608
        unknown = run(con, f"{query} LIMIT 1")
        if unknown:
            raise DataError(f"{ratings}: column {column!r} has value {unknown[0][0]}, which {path.name} does not have")
