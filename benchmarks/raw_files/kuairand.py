"""KuaiRand-1K's five files: 11,713,045 standard and 43,028 random exposures, 1,000 users, 4,369,953 videos.

Columns, values and their shares are like those of the published part of KuaiRand-Pure; as there, some rows of the log
are copies of another row, and a few share user, video and time with another one and differ elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.raw_files import drawn, long_tailed, time_in_runs, write_csv

_BEIJING_MS, _HOUR_MS, _DAY_MS = 28_800_000, 3_600_000, 86_400_000
_FIRST_MS = 1_649_347_200_000
"""2022-04-08 00:00 in Beijing."""

_DAYS, _SECOND_LOG = 31, 14
"""Days in all, and the day with which the second log begins: 2022-04-22."""

_HOURS = (36, 22, 14, 10, 9, 13, 24, 35, 42, 45, 48, 54, 66, 64, 53, 49, 50, 54, 62, 70, 78, 84, 77, 56)
"""How often exposures begin in each hour of Beijing's day."""

# Values and their weights; "-" is an empty cell.
_TABS = "1 7577 0 887 4 598 6 491 2 303 8 47 5 29 12 23 3 15 11 10 9 6 7 6 13 3 10 3 14 1"
_USER_CHOICES = {
    "user_active_degree": "full_active 660 high_active 225 middle_active 78 2_14_day_new 23 low_active 11 UNKNOWN 3",
    "is_lowactive_period": "0 1",
    "is_live_streamer": "-124 77 1 23",
    "is_video_author": "1 82 0 18",
}
_VIDEO_CHOICES = {
    "video_type": "NORMAL 990 AD 9 UNKNOWN 1",
    "upload_type": "ShortImport 350 LongImport 250 Web 90 Kmovie 90 ShortCamera 80 LongCamera 50 LongPicture 30 "
    "PictureSet 25 UNKNOWN 15 ShareFromOtherApp 10 FollowShoot 7 AiCutVideo 3",
    "visible_status": "0.0 97 1.0 2 3.0 1",
    "server_width": "720.0 72 1280.0 18 960.0 3 1080.0 4 540.0 2 576.0 1",
    "server_height": "1280.0 68 720.0 25 960.0 3 1440.0 2 1024.0 1 1556.0 1",
    "music_type": "9.0 879 4.0 87 - 27 8.0 5 7.0 1 11.0 1",
}

_NUMBERS = {
    "follow_user_num": (4.8, 1.4, (0, 10, 50, 100, 150, 250, 500)),
    "fans_user_num": (3.9, 1.9, (0, 9, 99, 999, 4999, 9999, 99999)),
    "friend_user_num": (2.9, 1.7, (0, 4, 29, 59, 119, 249)),
    "register_days": (6.9, 0.6, (14, 30, 60, 90, 180, 365, 730)),
}
"""Of the users' numbers: mean and deviation of their logarithms, and where their ranges end, but the last one's."""

_RANGES = {
    "follow_user_num": "0 (0,10] (10,50] (50,100] (100,150] (150,250] (250,500] 500+",
    "fans_user_num": "0 [1,10) [10,100) [100,1k) [1k,5k) [5k,1w) [1w,10w) [10w,100w)",
    "friend_user_num": "0 [1,5) [5,30) [30,60) [60,120) [120,250) 250+",
    "register_days": "8-14 15-30 31-60 61-90 91-180 181-365 366-730 730+",
}
_ONEHOT_VALUES = (2, 7, 50, 1471, 15, 34, 3, 118, 454, 7, 5, 5, 2, 2, 2, 2, 2, 2)
_ONEHOT_EMPTY = {4: 0.032, **dict.fromkeys(range(12, 18), 0.026)}
"""Share of empty cells. The values of these columns are written as 4.0, those of the columns without any as 4."""

_TAGS, _TAGS_EMPTY, _TAGS_TWO = 69, 0.013, 0.2
"""Tags, and the shares of the videos without a tag and with two."""


@dataclass(frozen=True)
class Sizes:
    """How many rows, users and videos there are.

    Of the standard rows, ``repeated`` are copies of another one and ``altered`` share user, video and time with one.
    """

    standard: int = 11_713_045
    random: int = 43_028
    repeated: int = 280_000
    altered: int = 22_000
    users: int = 1_000
    videos: int = 4_369_953

    def scaled(self, scale: float) -> Sizes:
        """Return this share of each, but at least 20 users."""
        scaled = {field.name: max(1, round(getattr(self, field.name) * scale)) for field in fields(self)}
        return replace(self, **scaled | {"users": max(20, scaled["users"])})


def write(folder: Path, scale: float = 1.0, *, seed: int = 0, sizes: Sizes | None = None) -> list[Path]:
    """Write the files to ``folder/kuairand-1k``, with ``sizes`` or this share of the official ones; return them."""
    place = folder / "kuairand-1k"
    place.mkdir(parents=True, exist_ok=True)
    sizes = sizes or Sizes().scaled(scale)
    rng = np.random.default_rng(seed)
    length = np.round(rng.lognormal(10.4, 1.0, sizes.videos))
    length[rng.random(sizes.videos) < 0.03] = np.nan
    standard = _standard(rng, sizes, length)
    is_late = (standard["time_ms"] >= _FIRST_MS + _SECOND_LOG * _DAY_MS).to_numpy()
    logs = {
        "log_standard_4_08_to_4_21_1k.csv": standard[~is_late],
        "log_standard_4_22_to_5_08_1k.csv": standard[is_late],
        "log_random_4_22_to_5_08_1k.csv": _random(rng, sizes, length),
    }
    videos_query = "SELECT * REPLACE (CASE WHEN NOT isnan(video_duration) THEN video_duration END AS video_duration)"
    return [
        *(write_csv(place / name, "SELECT * FROM frame", frame) for name, frame in logs.items()),
        write_csv(place / "user_features_1k.csv", "SELECT * FROM frame", _users(rng, sizes.users)),
        write_csv(place / "video_features_basic_1k.csv", f"{videos_query} FROM frame", _videos(rng, length)),
    ]


def _standard(rng: np.random.Generator, sizes: Sizes, length: NDArray[np.float64]) -> pd.DataFrame:
    """Return the exposures by the recommender, in order of user and time."""
    rows = sizes.standard - sizes.repeated - sizes.altered
    user_id = np.sort(long_tailed(rng, sizes.users, rows, spread=0.55, least=1))
    starts = rng.random(rows) < 0.015
    starts[np.flatnonzero(np.diff(user_id, prepend=-1))] = True
    pause = rng.exponential(25_000.0, rows).astype(np.int64)
    passed = time_in_runs(starts, _begins(rng, int(starts.sum()), 0), pause) % (_DAYS * _DAY_MS)
    video_id = long_tailed(rng, sizes.videos, rows, spread=1.5, least=min(1, rows // sizes.videos))
    frame = _log(rng, user_id, video_id, passed, length, is_rand=0)
    extra = rng.choice(rows, sizes.repeated + sizes.altered, replace=False)
    source = np.append(np.arange(rows), extra)
    order = np.lexsort((video_id[source], passed[source], user_id[source]))
    frame = frame.iloc[source[order]].reset_index(drop=True)
    altered = np.flatnonzero(order >= rows + sizes.repeated)
    frame.loc[altered, "play_time_ms"] = rng.integers(0, 100_000, len(altered), np.int32)
    frame.loc[altered, "tab"] = drawn(rng, _weights(_TABS), len(altered))
    return frame


def _random(rng: np.random.Generator, sizes: Sizes, length: NDArray[np.float64]) -> pd.DataFrame:
    """Return the exposures of videos drawn at random from a few of them, in order of user and time."""
    few = rng.choice(sizes.videos, max(1, sizes.videos * 7_583 // Sizes.videos), replace=False)
    user_id = rng.integers(0, sizes.users, sizes.random)
    passed = _begins(rng, sizes.random, _SECOND_LOG)
    order = np.lexsort((passed, user_id))
    return _log(rng, user_id[order], rng.choice(few, sizes.random), passed[order], length, is_rand=1)


def _begins(rng: np.random.Generator, rows: int, first_day: int) -> NDArray[np.int64]:
    """Return times from ``first_day`` on, in ms since the first day began, most of them in the evening."""
    hour = rng.choice(24, rows, p=np.array(_HOURS) / sum(_HOURS))
    return rng.integers(first_day, _DAYS, rows) * _DAY_MS + hour * _HOUR_MS + rng.integers(0, _HOUR_MS, rows)


def _log(
    rng: np.random.Generator,
    user_id: NDArray[np.integer],
    video_id: NDArray[np.integer],
    passed: NDArray[np.int64],
    length: NDArray[np.float64],
    is_rand: int,
) -> pd.DataFrame:
    """Return exposures with their feedback; some users and some videos have more clicks than others."""
    rows = len(user_id)
    dates = np.datetime64("2022-04-08") + np.arange(_DAYS)
    duration = np.nan_to_num(length).astype(np.int32)[video_id]
    eager = rng.normal(0.0, 0.5, user_id.max() + 1)[user_id] + rng.normal(0.0, 0.7, len(length))[video_id]
    is_click = (rng.random(rows) < 1 / (1 + np.exp(0.2 - eager))).astype(np.int8)
    long_view = (rng.random(rows) < np.where(is_click, 0.7, 0.002)).astype(np.int8)
    watched = np.where(long_view, duration * rng.uniform(0.4, 1.4, rows), rng.lognormal(8.0, 1.0, rows))
    watched[(is_click == 0) & (rng.random(rows) < 0.3)] = 0

    def flag(after_click: float, otherwise: float) -> NDArray[np.int8]:
        return (rng.random(rows) < np.where(is_click, after_click, otherwise)).astype(np.int8)

    return pd.DataFrame(
        {
            "user_id": user_id.astype(np.int32),
            "video_id": video_id.astype(np.int32),
            "date": np.char.replace(dates.astype(str), "-", "").astype(np.int32)[passed // _DAY_MS],
            "hourmin": (passed // _HOUR_MS % 24 * 100).astype(np.int16),
            "time_ms": _FIRST_MS + passed,
            "is_click": is_click,
            "is_like": flag(0.036, 0.002),
            "is_follow": flag(0.0025, 0.0004),
            "is_comment": flag(0.0056, 0.0001),
            "is_forward": flag(0.0018, 0.0001),
            "is_hate": flag(0.0004, 0.0011),
            "long_view": long_view,
            "play_time_ms": np.minimum(watched, 999_999).astype(np.int32),
            "duration_ms": duration,
            "profile_stay_time": flag(0.0002, 0.0) * rng.integers(1, 60_000, rows, np.int32),
            "comment_stay_time": flag(0.07, 0.004) * rng.integers(500, 25_000, rows, np.int32),
            "is_profile_enter": flag(0.039, 0.002),
            "is_rand": np.full(rows, is_rand, np.int8),
            "tab": drawn(rng, _weights(_TABS), rows),
        },
        copy=False,
    )


def _users(rng: np.random.Generator, users: int) -> pd.DataFrame:
    columns: dict[str, object] = {"user_id": np.arange(users)}
    columns |= {name: drawn(rng, _weights(text), users) for name, text in _USER_CHOICES.items()}
    for name, (mean, deviation, ends) in _NUMBERS.items():
        least = 8 if name == "register_days" else 0
        columns[name] = least + rng.lognormal(mean, deviation, users).astype(np.int64)
        places = np.searchsorted(ends, columns[name])
        columns[f"{name}_range"] = pd.Categorical.from_codes(places, _RANGES[name].split())
    for number, values in enumerate(_ONEHOT_VALUES):
        codes = (values * rng.random(users) ** 2).astype(np.int64)
        codes[rng.random(users) < _ONEHOT_EMPTY.get(number, 0)] = -1
        names = [f"{value}.0" if number in _ONEHOT_EMPTY else str(value) for value in range(values)]
        columns[f"onehot_feat{number}"] = pd.Categorical.from_codes(codes, names)
    return pd.DataFrame(columns)


def _videos(rng: np.random.Generator, length: NDArray[np.float64]) -> pd.DataFrame:
    rows = len(length)
    choices = {name: drawn(rng, _weights(text), rows) for name, text in _VIDEO_CHOICES.items()}
    days = np.minimum(rng.exponential(120.0, rows), 1_500).astype(np.int64)
    dates = (np.datetime64("2022-05-08") - np.arange(1_501)).astype(str)
    # Some authors have many videos; their numbers are spread over nine million.
    author = (rows * 0.7 * rng.random(rows) ** 1.5).astype(np.int64) * 7_919 % 9_000_011
    music = (rows * 0.8 * rng.random(rows) ** 1.3).astype(np.int64) * 7_919 % 9_000_011 + 3_000_000_000
    columns = {
        "video_id": np.arange(rows),
        "author_id": author,
        "video_type": choices["video_type"],
        "upload_dt": pd.Categorical.from_codes(days, dates),
        "upload_type": choices["upload_type"],
        "visible_status": choices["visible_status"],
        "video_duration": length,
        "server_width": choices["server_width"],
        "server_height": choices["server_height"],
        "music_id": np.where(rng.random(rows) < 0.03, 0, music),
        "music_type": choices["music_type"],
        "tag": _tags(rng, rows),
    }
    return pd.DataFrame(columns)


def _tags(rng: np.random.Generator, rows: int) -> pd.Categorical:
    """Return one tag, two in one cell, or none."""
    names = [str(tag) for tag in range(_TAGS)]
    names += [f"{first},{second}" for first in range(_TAGS) for second in range(_TAGS)]
    first = (_TAGS * rng.random(rows) ** 2).astype(np.int64)
    second = (first + rng.integers(1, _TAGS, rows)) % _TAGS
    codes = np.where(rng.random(rows) < _TAGS_TWO, _TAGS + _TAGS * first + second, first)
    codes[rng.random(rows) < _TAGS_EMPTY] = -1
    return pd.Categorical.from_codes(codes, names)


def _weights(text: str) -> dict[str, float]:
    words = text.split()
    values = ("" if word == "-" else word for word in words[::2])
    return dict(zip(values, map(float, words[1::2]), strict=True))
