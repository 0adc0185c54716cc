"""KuaiRand-1K at its official size: 11,713,045 standard and 43,028 random rows, 1,000 users, 4,369,953 videos.

The rows are made by DuckDB from hashes of their numbers, so that the same scale gives the same files.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

ROWS, RANDOM_ROWS, USERS, VIDEOS = 11_713_045, 43_028, 1_000, 4_369_953

_FIRST_MS, _DAY_MS = 1_649_347_200_000, 86_400_000
"""2022-04-08 00:00 in Beijing, and a day."""

_SECOND_PERIOD = 14
"""Days of the first log; the second has seventeen."""

_LOG = """
    COPY (
        WITH drawn AS (
            SELECT
                range AS number,
                (hash(range, 'user') % $users)::BIGINT AS user_id,
                ($videos * pow((hash(range, 'video') % 100000000) / 1e8, 3))::BIGINT AS video_id,
                {begin} + (hash(range, 'time') % {span})::BIGINT AS time_ms,
                (hash(range, 'click') % 100 < 38)::INTEGER AS is_click,
                5000 + (hash(range, 'length') % 200000)::BIGINT AS duration_ms
            FROM range({first}, {last})
        )
        SELECT
            user_id, video_id, strftime(make_timestamp_ms(time_ms + 28800000), '%Y%m%d')::BIGINT AS date,
            (time_ms + 28800000) // 3600000 % 24 * 100 AS hourmin, time_ms, is_click,
            is_click * (hash(number, 'like') % 100 < 4)::INTEGER AS is_like,
            is_click * (hash(number, 'follow') % 1000 < 3)::INTEGER AS is_follow,
            is_click * (hash(number, 'comment') % 1000 < 6)::INTEGER AS is_comment,
            is_click * (hash(number, 'forward') % 1000 < 2)::INTEGER AS is_forward,
            (hash(number, 'hate') % 10000 < 4)::INTEGER AS is_hate,
            is_click * (hash(number, 'long') % 100 < 68)::INTEGER AS long_view,
            is_click * (hash(number, 'play') % 100000)::BIGINT AS play_time_ms, duration_ms,
            0 AS profile_stay_time, 0 AS comment_stay_time,
            is_click * (hash(number, 'profile') % 1000 < 40)::INTEGER AS is_profile_enter,
            {chance} AS is_rand, (hash(number, 'tab') % 15)::BIGINT AS tab
        FROM drawn ORDER BY user_id, time_ms
    ) TO '{path}' (HEADER);
"""

_USERS = """
    COPY (
        SELECT
            range AS user_id, ['full_active', 'high_active', 'middle_active', 'UNKNOWN'][1 + range % 4]
                AS user_active_degree,
            0 AS is_lowactive_period, (hash(range, 'live') % 2)::BIGINT AS is_live_streamer,
            (hash(range, 'author') % 2)::BIGINT AS is_video_author,
            (hash(range, 'follows') % 900)::BIGINT AS follow_user_num, '(100,150]' AS follow_user_num_range,
            (hash(range, 'fans') % 700)::BIGINT AS fans_user_num, '[10,100)' AS fans_user_num_range,
            (hash(range, 'friends') % 90)::BIGINT AS friend_user_num, '[5,30)' AS friend_user_num_range,
            (hash(range, 'days') % 2000)::BIGINT AS register_days, '366-730' AS register_days_range,
            {onehots}
        FROM range($users)
    ) TO '{path}' (HEADER);
"""

_VIDEOS = """
    COPY (
        SELECT
            range AS video_id, (hash(range, 'author') % 1000000)::BIGINT AS author_id,
            CASE WHEN hash(range, 'type') % 20 = 0 THEN 'AD' ELSE 'NORMAL' END AS video_type,
            '2022-04-10' AS upload_dt, ['LongImport', 'ShortImport', 'Web', 'Kmovie'][1 + (hash(range) % 4)::INTEGER]
                AS upload_type,
            0.0 AS visible_status, (5000 + hash(range, 'length') % 200000)::DOUBLE AS video_duration,
            720.0 AS server_width, 1280.0 AS server_height, (hash(range, 'music') % 3000000)::BIGINT AS music_id,
            (hash(range, 'sort') % 12)::DOUBLE AS music_type,
            (hash(range, 'tag') % 67) || CASE WHEN hash(range, 'two') % 3 = 0 THEN ',' || range % 60 ELSE '' END AS tag
        FROM range($videos)
    ) TO '{path}' (HEADER);
"""


def write(folder: Path, scale: float = 1.0) -> list[Path]:
    """Write the five files to ``folder/kuairand-1k`` with this share of the official rows, and return them."""
    place = folder / "kuairand-1k"
    place.mkdir(parents=True, exist_ok=True)
    rows, random = round(ROWS * scale), round(RANDOM_ROWS * scale)
    counts = {"users": USERS, "videos": max(100, round(VIDEOS * scale))}
    first = rows * 10 // 23
    split_ms = _FIRST_MS + _SECOND_PERIOD * _DAY_MS
    logs = {
        "log_standard_4_08_to_4_21_1k.csv": (0, first, _FIRST_MS, _SECOND_PERIOD, 0),
        "log_standard_4_22_to_5_08_1k.csv": (first, rows, split_ms, 17, 0),
        "log_random_4_22_to_5_08_1k.csv": (rows, rows + random, split_ms, 17, 1),
    }
    onehots = ", ".join(f"(hash(range, {n}) % {2 + 7 * n})::BIGINT AS onehot_feat{n}" for n in range(18))
    with duckdb.connect() as con:
        for name, (begin, end, begin_ms, days, chance) in logs.items():
            span, path = days * _DAY_MS, place / name
            query = _LOG.format(first=begin, last=end, begin=begin_ms, span=span, chance=chance, path=path)
            con.execute(query, counts)
        con.execute(_USERS.format(onehots=onehots, path=place / "user_features_1k.csv"), {"users": USERS})
        con.execute(_VIDEOS.format(path=place / "video_features_basic_1k.csv"), {"videos": counts["videos"]})
    return sorted(place.iterdir())
