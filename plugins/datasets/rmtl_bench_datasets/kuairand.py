"""KuaiRand: logs of a short-video app (Kuaishou) with twelve kinds of feedback on every exposure.

Gao et al., *KuaiRand: An Unbiased Sequential Recommendation Dataset with Randomly Exposed Videos*, CIKM 2022, arXiv
2208.08696; https://kuairand.com, Zenodo record 10439422, CC BY-SA 4.0. Pure has 1,436,609 standard interactions of
27,285 users with 7,583 videos, 1K has 11,713,045 of 1,000 users with 4,369,953 videos.

KuaiRand's authors warn that Pure has *incomplete* sequences of its users: it compares methods well, but claims about
sessions need 1K.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import duckdb

from rmtl_bench.contracts.dataset import Dataset, SessionTable
from rmtl_bench.contracts.errors import DataError, UsageError
from rmtl_bench.contracts.schema import Task
from rmtl_bench_datasets.columns import assemble
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
}
"""The column of the log behind each task."""

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
_VIDEO_TEXTS = ("author_id", "video_type", "upload_type", "music_type", "tag")

CATEGORICAL = ("user_id", "video_id", "tab", "hour", *_USER_TEXTS, *_VIDEO_TEXTS)
"""The 34 categorical fields: who, what, where, when; the user's and the video's. All are known before the exposure."""

NUMERICAL = ("duration", *_USER_NUMBERS)
"""The numerical fields: logarithms of the video's length in ms, of the days since registration, of numbers of users."""

# Rows that are equal in every column are one exposure logged twice. What is measured after the exposure (play time,
# stay times) takes part in this and in the order of rows of equal time, but is no feature.
_DISTINCT = """
    CREATE TABLE distinct_log AS
    SELECT *, row_number() OVER (ORDER BY time_ms, {every_column}) AS tie
    FROM (SELECT DISTINCT * FROM log WHERE user_id % 1000 < $kept)
"""

_EXPOSURES = """
    CREATE TABLE exposures AS
    SELECT
        log.user_id AS user_key, log.time_ms, log.tie, log.date AS day,
        log.user_id, log.video_id, log.tab, log.hourmin // 100 AS hour,
        {user_texts},
        videos.author_id, videos.video_type, videos.upload_type, videos.music_type,
        string_split(videos.tag, ',')[1] AS tag,
        {duration} AS duration,
        {user_numbers},
        {labels}
    FROM distinct_log AS log
    LEFT JOIN users USING (user_id)
    LEFT JOIN videos USING (video_id)
"""


def _logarithm(number: str) -> str:
    """Return SQL for log(1 + number), where what is negative counts as 0 and what is missing stays missing."""
    return f"CASE WHEN {number} >= 0 THEN ln(1 + {number}) WHEN {number} < 0 THEN 0 END"


class KuaiRand(Dataset):
    """KuaiRand-Pure or 1K: every standard exposure is a row; by default the tasks are click and long view.

    With click among the tasks every other task is its child and its label is the joint event, signal AND click:
    0.11 % of the rows of Pure have a long view and no click, and count as no long view. Without click the labels are
    the signals as logged. Exact duplicates of a row are dropped. A session is a user's week (Beijing time) by default,
    since a day of Pure has two rows; it is cut where a split boundary falls into it.
    """

    _name: ClassVar[str] = "kuairand-pure"
    _suffix: ClassVar[str] = "pure"
    _md5: ClassVar[str] = "0820331067a3784d9691136f772b35a7"
    _folders: ClassVar[tuple[str, ...]] = ("kuairand-pure", "KuaiRand-Pure/data", "KuaiRand-Pure")

    def __init__(
        self,
        *,
        tasks: Sequence[str] = ("click", "long-view"),
        sessions: str = "week",
        gap_minutes: float = 30.0,
        split: Sequence[float] = (0.6, 0.2, 0.2),
        users: float = 1.0,
        min_count: int = 2,
    ) -> None:
        if not tasks or len(set(tasks)) != len(tasks):
            raise UsageError(f"parameter 'tasks' is {tuple(tasks)}; it takes one task or more, each once")
        names = sorted(tasks, key=lambda name: name != "click")
        parent = "click" if "click" in names else None
        joint = " and is_click = 1" if parent else ""
        self._tasks = [
            Task(name, None if name == "click" else parent, f"{SIGNALS[name]} = 1" + joint * (name != "click"))
            for name in names
        ]
        self._sessions, self._gap_minutes = sessions, gap_minutes
        self._shares, self._users, self._min_count = check_shares(split), users, min_count

    def raw_files(self, data_dir: Path) -> list[Path]:
        """Return the one or two standard logs, the users and the videos."""
        logs, users, videos = self._find(data_dir)
        return [*logs, users, videos]

    def build(self, data_dir: Path, scratch: Path) -> SessionTable:
        """Return the table; see the class for what its rows, labels and sessions are."""
        logs, users, videos = self._find(data_dir)
        with workspace(scratch) as con:
            logged = self._read(con, logs, users, videos)
            kept = self._join(con)
            add_sessions(con, "exposures", "sessioned", self._sessions, self._gap_minutes)
            add_splits(con, "sessioned", "examples", cut_times(con, "sessioned", self._shares))
            lay_out(con, "examples")
            notes = {
                "source": "KuaiRand, Gao et al., CIKM 2022, Zenodo record 10439422, CC BY-SA 4.0",
                "logs": [path.name for path in logs],
                "logs_missing": [name for name in self._log_names() if not any(p.name.startswith(name) for p in logs)],
                "rows_logged": logged,
                "rows_distinct": kept,
                "labels": "joint with click" if self._tasks[0].name == "click" else "as logged",
            }
            return assemble(con, scratch, CATEGORICAL, NUMERICAL, self._tasks, self._min_count, notes)

    def _log_names(self) -> list[str]:
        return [f"log_standard_{days}_{self._suffix}.csv" for days in ("4_08_to_4_21", "4_22_to_5_08")]

    def _places(self, data_dir: Path) -> list[Path]:
        return [data_dir / folder for folder in self._folders]

    def _find(self, data_dir: Path) -> tuple[list[Path], Path, Path]:
        names = [*self._log_names(), f"user_features_{self._suffix}.csv", f"video_features_basic_{self._suffix}.csv"]
        for place in self._places(data_dir):
            *logs, users, videos = (find_file(place, name) for name in names)
            found = [path for path in logs if path]
            if found and users and videos:
                return found, users, videos
        archive = f"KuaiRand-{self._suffix.replace('pure', 'Pure').replace('1k', '1K')}"
        raise missing_files(
            self._name,
            [" or ".join(names[:2]), *names[2:]],
            self._places(data_dir),
            "https://zenodo.org/records/10439422 (CC BY-SA 4.0)",
            [
                f"mkdir -p {shlex.quote(str(data_dir))}",
                f"curl -LO https://zenodo.org/records/10439422/files/{archive}.tar.gz",
                f"echo '{self._md5}  {archive}.tar.gz' | md5sum -c",
                f"tar -xzf {archive}.tar.gz -C {shlex.quote(str(data_dir))}",
            ],
        )

    def _read(self, con: duckdb.DuckDBPyConnection, logs: Sequence[Path], users: Path, videos: Path) -> int:
        """Create the tables ``log``, ``users`` and ``videos``; return the rows of the log."""
        for number, path in enumerate(logs):
            read_csv(con, f"log_{number}", path, _LOG_COLUMNS)
        run(con, "CREATE VIEW log AS " + " UNION ALL ".join(f"SELECT * FROM log_{n}" for n in range(len(logs))))  # noqa: S608
        features: dict[str, Column] = dict.fromkeys(_USER_TEXTS, TEXT) | dict.fromkeys(_USER_NUMBERS, NUMBER)
        read_csv(con, "users", users, {"user_id": KEY, **features})
        check_unique(con, "users", "user_id", users)
        read_csv(con, "videos", videos, {"video_id": KEY, **dict.fromkeys(_VIDEO_TEXTS, TEXT)})
        check_unique(con, "videos", "video_id", videos)
        return int(run(con, "SELECT count(*) FROM log")[0][0])

    def _join(self, con: duckdb.DuckDBPyConnection) -> int:
        """Create ``exposures`` from the distinct rows of the log; return their number."""
        every_column = ", ".join(name for name in _LOG_COLUMNS if name != "time_ms")
        run(con, _DISTINCT.format(every_column=every_column), {"kept": self._users * 1000})
        joint = "log.is_click" if self._tasks[0].name == "click" else "1"
        query = _EXPOSURES.format(
            user_texts=", ".join(f"users.{name}" for name in _USER_TEXTS),
            duration=_logarithm("log.duration_ms"),
            user_numbers=", ".join(f"{_logarithm(f'users.{name}')} AS {name}" for name in _USER_NUMBERS),
            labels=", ".join(f'log.{SIGNALS[task.name]} * {joint} AS "{task.name}"' for task in self._tasks),
        )
        run(con, query)
        rows = int(run(con, "SELECT count(*) FROM exposures")[0][0])
        if rows == 0:
            raise DataError(f"{self._name}: no rows are left with users = {self._users:g}; take a larger share")
        return rows


class KuaiRand1K(KuaiRand):
    """KuaiRand-1K: 1,000 users with their complete sequences; the choice for claims about sessions."""

    _name = "kuairand-1k"
    _suffix = "1k"
    _md5 = "6b0b9c8222d67fcd4c676218edca3f1f"
    _folders = ("kuairand-1k", "KuaiRand-1K/data", "KuaiRand-1K")


class KuaiRandPureSample(KuaiRand):
    """The 14 days of KuaiRand-Pure that come with this distribution; needs no download."""

    _name = "kuairand-pure-sample"

    def _places(self, data_dir: Path) -> list[Path]:
        return [Path(__file__).parent / "embedded" / "kuairand-pure"]
