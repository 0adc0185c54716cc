"""KuaiRand-1K with plain pandas: as ``KuaiRand1K().build`` of the data sets' plugin makes it by default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.plain_pandas import arrays, cut_times, in_order

_LOGS = ("log_standard_4_08_to_4_21_1k.csv", "log_standard_4_22_to_5_08_1k.csv")
_FLAGS = ("is_click", "is_like", "is_follow", "is_comment", "is_forward", "is_hate", "long_view")
_LOG_TYPES = {
    **dict.fromkeys(("user_id", "video_id", "date", "hourmin"), np.int32),
    "time_ms": np.int64,
    **dict.fromkeys((*_FLAGS, "is_profile_enter", "is_rand"), np.int8),
    **dict.fromkeys(("play_time_ms", "duration_ms", "profile_stay_time", "comment_stay_time"), np.float64),
    "tab": str,
}
_KEYS = ["time_ms", "user_id", "video_id"]
_KNOWN = ["date", "hourmin", "tab", "duration_ms", "is_rand"]
"""By what is known before the exposure rows of one time, user and video are ordered first."""

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

_WEEK_MS, _BEIJING_MS, _THURSDAY_MS = 7 * 86_400_000, 8 * 3_600_000, 3 * 86_400_000


def prepare(data_dir: Path) -> dict[str, Any]:
    """Return the arrays of the session table, by name, and ``split_sizes``."""
    folder = data_dir / "kuairand-1k"
    log = in_order(_examples(_distinct(_log(folder))))
    users = _attributes(folder / "user_features_1k.csv", "user_id", _USER_TEXTS, _USER_NUMBERS)
    videos = _attributes(folder / "video_features_basic_1k.csv", "video_id", _VIDEO_TEXTS)
    videos["tag"] = videos["tag"].str.partition(",")[0]
    categorical = ["user_id", "video_id", "tab", "hour", *_USER_TEXTS, *_VIDEO_TEXTS]
    attributes = {"user_id": users, "video_id": videos}
    return arrays(log, categorical, ["duration", *_USER_NUMBERS], ["click", "long_view"], attributes)


def _log(folder: Path) -> pd.DataFrame:
    """Return the rows of both logs."""
    options = {"dtype": _LOG_TYPES, "keep_default_na": False, "na_values": [""]}
    return pd.concat([pd.read_csv(folder / name, **options) for name in _LOGS], ignore_index=True)


def _distinct(log: pd.DataFrame) -> pd.DataFrame:
    """Return the distinct rows in order; only the few that share time, user and video are compared in full."""
    shared = log.duplicated(_KEYS, keep=False)
    measured = [name for name in _LOG_TYPES if name not in (*_KEYS, *_KNOWN)]
    few = log[shared].drop_duplicates().sort_values([*_KEYS, *_KNOWN, *measured])
    log = pd.concat([log[~shared], few], ignore_index=True)
    order = np.lexsort((log["video_id"], log["user_id"], log["time_ms"]))
    return log.iloc[order]


def _examples(log: pd.DataFrame) -> pd.DataFrame:
    first, second = cut_times(log["time_ms"])
    time_ms = log["time_ms"]
    return pd.DataFrame(
        {
            "user_key": log["user_id"],
            "user_id": log["user_id"],
            "video_id": log["video_id"],
            "time_ms": time_ms,
            "bucket": (time_ms + _BEIJING_MS + _THURSDAY_MS) // _WEEK_MS,
            "split": (time_ms >= first).astype(np.int8) + (time_ms >= second),
            "tab": log["tab"],
            "hour": log["hourmin"] // 100,
            "duration": _logarithm(log["duration_ms"]),
            "click": log["is_click"],
            "long_view": log["long_view"] * log["is_click"],
        }
    )


def _attributes(path: Path, key: str, texts: tuple[str, ...], numbers: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return what depends on a user or a video alone, by its number."""
    types = {key: np.int32, **dict.fromkeys(texts, str), **dict.fromkeys(numbers, np.float64)}
    table = pd.read_csv(path, usecols=list(types), dtype=types, keep_default_na=False, na_values=[""], index_col=key)
    return table.assign(**{name: _logarithm(table[name]) for name in numbers})


def _logarithm(number: pd.Series) -> pd.Series:
    return np.log(1 + number.clip(lower=0))
