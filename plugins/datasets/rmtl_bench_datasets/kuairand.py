"""KuaiRand: logs of a short-video app (Kuaishou) with twelve kinds of feedback on every exposure.

Gao et al., *KuaiRand: An Unbiased Sequential Recommendation Dataset with Randomly Exposed Videos*, CIKM 2022, arXiv
2208.08696; https://kuairand.com, Zenodo record 10439422, CC BY-SA 4.0. Pure has 1,436,609 standard interactions of
27,285 users with 7,583 videos, 1K has 11,713,045 of 1,000 users with 4,369,953 videos, 27K has 322,278,385 of 27,285
users with 32,038,725 videos. Beside them stand logs of randomly exposed videos: 1,186,059, 43,028 and 1,186,059 rows.

KuaiRand's authors warn that Pure has *incomplete* sequences of its users: it compares methods well, but claims about
sessions need 1K or 27K. The files of video *statistics* are not read: they count the whole period, the test's included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import duckdb

from rmtl_bench.contracts.dataset import Dataset, SessionTable
from rmtl_bench.contracts.errors import DataError, UsageError
from rmtl_bench.contracts.schema import Task
from rmtl_bench_datasets.columns import Attributes, assemble
from rmtl_bench_datasets.rawfiles import find_file, missing_files
from rmtl_bench_datasets.sessions import add_sessions, add_splits, check_shares, cut_times, lay_out
from rmtl_bench_datasets.workspace import FLAG, KEY, NUMBER, TEXT, Column, check_unique, read_csv, run, workspace

SIGNALS: Mapping[str, str] = {
    "click": "is_click",
    "long-view": "long_view",
    "like": "is_like",
    "follow": "is_follow",
    "comment": "is_comment",
    "forward": "is_forward",
    "hate": "is_hate",
    "profile-enter": "is_profile_enter",
    "play": "play_time_ms > 0",
    "complete-play": "duration_ms > 0 AND play_time_ms >= duration_ms",
    "profile-stay": "profile_stay_time > 0",
    "comment-stay": "comment_stay_time > 0",
}
"""What of the log is behind each task: its eight flags, and four yes or no of the times it measures; none, no."""

_LOG_COLUMNS: Mapping[str, Column] = {
    **dict.fromkeys(("user_id", "video_id", "date", "hourmin", "time_ms"), KEY),
    **dict.fromkeys(("is_click", "is_like", "is_follow", "is_comment", "is_forward", "is_hate", "long_view"), FLAG),
    **dict.fromkeys(("play_time_ms", "duration_ms", "profile_stay_time", "comment_stay_time"), NUMBER),
    **dict.fromkeys(("is_profile_enter", "is_rand"), FLAG),
    "tab": TEXT,
}
_USER_TEXTS = (
    "user_active_degree",
    "is_live_streamer",
    "is_video_author",
    "follow_user_num_range",
    "fans_user_num_range",
    "friend_user_num_range",
    "register_days_range",
    *(f"onehot_feat{number}" for number in range(18)),
)
_USER_NUMBERS = ("register_days", "follow_user_num", "fans_user_num", "friend_user_num")
_USER_UNUSED = ("is_lowactive_period",)
_VIDEO_TEXTS = ("author_id", "video_type", "upload_type", "music_type", "tag")
_VIDEO_UNUSED = ("upload_dt", "visible_status", "video_duration", "server_width", "server_height", "music_id")

CATEGORICAL = ("user_id", "video_id", "tab", "hour", *_USER_TEXTS, *_VIDEO_TEXTS)
"""The 34 categorical fields: who, what, where, when; the user's and the video's. All are known before the exposure."""

NUMERICAL = ("duration", *_USER_NUMBERS)
"""The numerical fields: logarithms of the video's length in ms, of the days since registration, of numbers of users."""

RANDOM_EXPOSURES = "random-exposure"
"""The further test split: what users made of videos that no recommender had chosen."""

# A bound parameter cannot stand in a view; the share of the users is a number that the catalogue has checked.
_LOG = """
    CREATE VIEW log AS
    SELECT * FROM ({union}) WHERE user_id % 1000 < {kept}
"""

# Rows that are equal in every column are one exposure logged twice. What is measured after the exposure (play time,
# stay times) takes part in this and in the order of rows of equal time, but is no feature. Few rows share user, video
# and time: only among these is everything compared.
_REPEATED = """
    CREATE TABLE repeated AS
    SELECT time_ms, user_id, video_id, chance FROM log GROUP BY ALL HAVING count(*) > 1
"""

_DISTINCT = """
    CREATE VIEW distinct_log AS
    SELECT *, 0 AS among FROM log ANTI JOIN repeated USING (time_ms, user_id, video_id, chance)
    UNION ALL
    SELECT *, row_number() OVER (PARTITION BY time_ms, user_id, video_id, chance ORDER BY {others}) AS among
    FROM (SELECT DISTINCT * FROM log SEMI JOIN repeated USING (time_ms, user_id, video_id, chance))
"""

_EXPOSURES = """
    CREATE TABLE exposures AS
    SELECT
        user_id AS user_key, time_ms, date AS day, chance,
        row_number() OVER (ORDER BY time_ms, user_id, video_id, among, chance) AS tie,
        user_id, video_id, tab, hourmin // 100 AS hour,
        {duration} AS duration,
        {labels}
    FROM distinct_log
"""

# Random exposures before the test period would tell of a time that training has seen.
_EXAMPLES = """
    CREATE VIEW examples AS
    SELECT * FROM split_standard
    UNION ALL BY NAME
    SELECT * EXCLUDE (split), 3 AS split FROM split_random WHERE split = 2
"""

_USERS = """
    CREATE VIEW users AS
    SELECT user_id, {texts}, {numbers} FROM raw_users
"""

_VIDEOS = """
    CREATE VIEW videos AS
    SELECT * REPLACE (string_split(tag, ',')[1] AS tag) FROM raw_videos
"""

_ATTRIBUTES = (
    Attributes("users", "user_id", _USER_TEXTS, _USER_NUMBERS),
    Attributes("videos", "video_id", _VIDEO_TEXTS),
)


def _logarithm(number: str) -> str:
    """Return SQL for log(1 + number), where what is negative counts as 0 and what is missing stays missing."""
    return f"CASE WHEN {number} >= 0 THEN ln(1 + {number}) WHEN {number} < 0 THEN 0 END"


class KuaiRand(Dataset):
    """KuaiRand-Pure: every standard exposure is a row; by default the tasks are click and long view.

    With click among the tasks every other task is its child and its label is the joint event, signal AND click:
    0.11 % of the rows of Pure have a long view and no click, and count as no long view. Without click the labels are
    the signals as logged. Exact duplicates of a row are dropped. A session is a user's week (Beijing time) by default,
    since a day of Pure has two rows; where a split boundary falls into it, it is cut, or dropped (``at_boundary``).

    ``random_exposures`` adds the log of random exposures as the further test split ``random-exposure``: its rows from
    the beginning of the test period on, with sessions of their own, and the vocabularies of the training split.
    """

    _name: ClassVar[str] = "kuairand-pure"
    _suffix: ClassVar[str] = "pure"
    _folders: ClassVar[tuple[str, ...]] = ("kuairand-pure", "KuaiRand-Pure")
    _parts: ClassVar[tuple[str, ...]] = ("",)

    def __init__(
        self,
        *,
        tasks: Sequence[str] = ("click", "long-view"),
        sessions: str = "week",
        gap_minutes: float = 30.0,
        split: Sequence[float] = (0.6, 0.2, 0.2),
        users: float = 1.0,
        min_count: int = 2,
        at_boundary: str = "cut",
        random_exposures: bool = False,
    ) -> None:
        if not tasks or len(set(tasks)) != len(tasks):
            raise UsageError(f"parameter 'tasks' is {tuple(tasks)}; it takes one task or more, each once")
        names = sorted(tasks, key=lambda name: name != "click")
        parent = "click" if "click" in names else None
        joint = " and is_click = 1" if parent else ""
        self._tasks = [Task(n, None if n == "click" else parent, _meaning(n) + joint * (n != "click")) for n in names]
        self._sessions, self._gap_minutes = sessions, gap_minutes
        self._shares, self._users, self._min_count = check_shares(split), users, min_count
        self._at_boundary, self._random = at_boundary, random_exposures

    def raw_files(self, data_dir: Path) -> list[Path]:
        """Return the standard logs, the log of random exposures where it is asked for, the users and the videos."""
        logs, random, users, videos = self._find(data_dir)
        return [*logs, *random, users, videos]

    def build(self, data_dir: Path, scratch: Path) -> SessionTable:
        """Return the table; see the class for what its rows, labels and sessions are."""
        logs, random, users, videos = self._find(data_dir)
        with workspace(scratch) as con:
            self._read(con, logs, random, users, videos)
            counts = self._select(con)
            further = self._split(con)
            dropped = lay_out(con, "examples", self._at_boundary)
            notes = {
                "source": "KuaiRand, Gao et al., CIKM 2022, Zenodo record 10439422, CC BY-SA 4.0",
                "logs": [path.name for path in (*logs, *random)],
                "logs_missing": [name for name in self._log_names() if not any(p.name.startswith(name) for p in logs)],
                **counts,
                "labels": "joint with click" if self._tasks[0].name == "click" else "as logged",
                **further,
                **dropped,
            }
            return assemble(
                con,
                scratch,
                CATEGORICAL,
                NUMERICAL,
                self._tasks,
                self._min_count,
                notes,
                attributes=_ATTRIBUTES,
                extra_tests=[RANDOM_EXPOSURES],
            )

    def _log_names(self) -> list[str]:
        days = ("4_08_to_4_21", "4_22_to_5_08")
        return [f"log_standard_{period}_{self._suffix}{part}.csv" for period in days for part in self._parts]

    def _places(self, data_dir: Path) -> list[Path]:
        """Return where the files may be: in a folder of the data set, as its archive unpacks, or in a plain one."""
        archive = self._folders[-1]
        inside = [f"{folder}/{archive}/data" for folder in self._folders[:1]] + [f"{archive}/data"]
        return [data_dir / folder for folder in (*self._folders, *inside)]

    def _find(self, data_dir: Path) -> tuple[list[Path], list[Path], Path, Path]:
        random_name = f"log_random_4_22_to_5_08_{self._suffix}.csv"
        features = [f"user_features_{self._suffix}.csv", f"video_features_basic_{self._suffix}.csv"]
        for place in self._places(data_dir):
            *logs, random, users, videos = (
                find_file(place, name) for name in (*self._log_names(), random_name, *features)
            )
            found = [path for path in logs if path]
            if found and users and videos and (random or not self._random):
                return found, [random] if random and self._random else [], users, videos
        needed = [" or ".join(self._log_names()), *([random_name] if self._random else []), *features]
        raise missing_files(self._name, needed, self._places(data_dir))

    def _read(
        self,
        con: duckdb.DuckDBPyConnection,
        logs: Sequence[Path],
        random: Sequence[Path],
        users: Path,
        videos: Path,
    ) -> None:
        """Create the views ``log``, whose column ``chance`` is 1 for a random exposure, ``users`` and ``videos``."""
        files = [(path, 0) for path in logs] + [(path, 1) for path in random]
        for number, (path, _) in enumerate(files):
            read_csv(con, f"log_{number}", path, _LOG_COLUMNS)
        parts = [f"SELECT *, {chance} AS chance FROM log_{number}" for number, (_, chance) in enumerate(files)]  # noqa: S608
        run(con, _LOG.format(union=" UNION ALL ".join(parts), kept=self._users * 1000))
        features: dict[str, Column] = dict.fromkeys(_USER_TEXTS, TEXT) | dict.fromkeys(_USER_NUMBERS, NUMBER)
        read_csv(con, "raw_users", users, {"user_id": KEY, **features}, unused=_USER_UNUSED)
        check_unique(con, "raw_users", "user_id", users)
        numbers = ", ".join(f"{_logarithm(name)} AS {name}" for name in _USER_NUMBERS)
        run(con, _USERS.format(texts=", ".join(_USER_TEXTS), numbers=numbers))
        columns = {"video_id": KEY, **dict.fromkeys(_VIDEO_TEXTS, TEXT)}
        read_csv(con, "raw_videos", videos, columns, unused=_VIDEO_UNUSED)
        check_unique(con, "raw_videos", "video_id", videos)
        run(con, _VIDEOS)

    def _select(self, con: duckdb.DuckDBPyConnection) -> dict[str, int]:
        """Create ``exposures`` from the distinct rows of the log; return the counts of rows for the notes."""
        # What is known before the exposure comes first, so that the order of the rows follows no label.
        known = ("date", "hourmin", "tab", "duration_ms", "is_rand")
        measured = (name for name in _LOG_COLUMNS if name not in (*known, "time_ms", "user_id", "video_id"))
        others = ", ".join((*known, *measured))
        run(con, _REPEATED)
        run(con, _DISTINCT.format(others=others))
        joint = " * is_click" if self._tasks[0].name == "click" else ""
        labels = (
            f'coalesce(({SIGNALS[task.name]})::INTEGER, 0){joint if task.name != "click" else ""} AS "{task.name}"'
            for task in self._tasks
        )
        run(con, _EXPOSURES.format(duration=_logarithm("duration_ms"), labels=", ".join(labels)))
        logged = int(run(con, "SELECT count(*) FROM log")[0][0])
        kept = int(run(con, "SELECT count(*) FROM exposures")[0][0])
        if kept == 0:
            raise DataError(f"{self._name}: no rows are left with users = {self._users:g}; take a larger share")
        return {"rows_logged": logged, "rows_distinct": kept}

    def _split(self, con: duckdb.DuckDBPyConnection) -> dict[str, int]:
        """Create ``examples``, with sessions and splits; return what a note says of the random exposures."""
        run(con, "CREATE VIEW standard AS SELECT * EXCLUDE (chance) FROM exposures WHERE chance = 0")
        add_sessions(con, "standard", "sessioned", self._sessions, self._gap_minutes)
        cuts = cut_times(con, "sessioned", self._shares)
        add_splits(con, "sessioned", "split_standard", cuts)
        if not self._random:
            run(con, "CREATE VIEW examples AS SELECT * FROM split_standard")
            return {}
        run(con, "CREATE VIEW random AS SELECT * EXCLUDE (chance) FROM exposures WHERE chance = 1")
        add_sessions(con, "random", "random_sessioned", self._sessions, self._gap_minutes)
        add_splits(con, "random_sessioned", "split_random", cuts)
        run(con, _EXAMPLES)
        early = run(con, "SELECT count(*) FROM split_random WHERE split < 2")[0][0]
        return {"random_exposures_before_the_test_period": int(early)}


def _meaning(task: str) -> str:
    signal = SIGNALS[task]
    return signal if ">" in signal else f"{signal} = 1"


class KuaiRand1K(KuaiRand):
    """KuaiRand-1K: 1,000 users with their complete sequences; the choice for claims about sessions."""

    _name = "kuairand-1k"
    _suffix = "1k"
    _folders = ("kuairand-1k", "KuaiRand-1K")


class KuaiRand27K(KuaiRand):
    """KuaiRand-27K: all 27,285 users with their complete sequences, whose logs come in two parts each."""

    _name = "kuairand-27k"
    _suffix = "27k"
    _folders = ("kuairand-27k", "KuaiRand-27K")
    _parts = ("_part1", "_part2")


class KuaiRandPureSample(KuaiRand):
    """The 14 days of KuaiRand-Pure that come with this distribution; needs no download, has no random exposures."""

    _name = "kuairand-pure-sample"

    def _places(self, data_dir: Path) -> list[Path]:
        return [Path(__file__).parent / "embedded" / "kuairand-pure"]
