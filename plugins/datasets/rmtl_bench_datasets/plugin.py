"""The catalogue of this distribution; imports no torch and no DuckDB."""

from __future__ import annotations

from rmtl_bench import DatasetInfo, Download, Parameter, Source, hookimpl
from rmtl_bench_datasets.catalogue_of_peers import PEERS

_SPLIT = Parameter((0.6, 0.2, 0.2), "shares of train, valid and test, by time", minimum=0, maximum=1)
_GAP = Parameter(30.0, "minutes without a row that end a session, where sessions = 'gap'", minimum=0)
_MIN_COUNT = Parameter(2, "training rows that a value needs for an id of its own", minimum=1)
_AT_BOUNDARY = Parameter("cut", "what becomes of a session that a split parts", choices=("cut", "drop"), added=True)
_PROVIDES = frozenset({"sessions", "parent-task"})

# Spelt out, not imported: the modules behind the targets import DuckDB. A test compares the two.
_SIGNALS = (
    *("click", "long-view", "like", "follow", "comment", "forward", "hate", "profile-enter"),
    *("play", "complete-play", "profile-stay", "comment-stay"),
)

_KUAIRAND_PAPER = "Gao et al., KuaiRand, CIKM 2022, arXiv:2208.08696"
_KUAIRAND = {
    "tasks": Parameter(("click", "long-view"), "signals to predict; click is the parent of the rest", choices=_SIGNALS),
    "sessions": Parameter("week", "what a session of a user is", choices=("week", "day", "user", "gap")),
    "gap_minutes": _GAP,
    "split": _SPLIT,
    "users": Parameter(1.0, "share of the users to take, by their id", minimum=0.001, maximum=1),
    "min_count": _MIN_COUNT,
    "at_boundary": _AT_BOUNDARY,
    "random_exposures": Parameter(False, "whether to test on the log of random exposures, too", added=True),
}


def _kuairand(name: str, archive: str, md5: str, megabytes: int) -> Source:
    """Return where the raw files of one size of KuaiRand come from; the checksums are its owners'."""
    url = f"https://zenodo.org/records/10439422/files/{archive}.tar.gz"
    return Source(
        homepage="https://zenodo.org/records/10439422",
        folder=name,
        downloads=(Download(url=url, checksum=f"md5:{md5}"),),
        steps=(
            f"download {url} ({megabytes} MB)",
            f"md5sum {archive}.tar.gz says {md5}",
            f"tar -xzf {archive}.tar.gz -C {{folder}}",
        ),
    )


@hookimpl
def rmtl_datasets() -> list[DatasetInfo]:
    """Return the data sets of this distribution."""
    return [
        DatasetInfo(
            name="kuairand-pure",
            target="rmtl_bench_datasets.kuairand:KuaiRand",
            # Rows of one user, video and time stand in another order than in version 1.
            version=2,
            summary="KuaiRand-Pure: 1.4 million exposures of short videos; CC BY-SA 4.0, to be downloaded",
            paper=_KUAIRAND_PAPER,
            licence="CC BY-SA 4.0",
            size="1,436,609 standard and 1,186,059 random exposures, 27,285 users; 47 MB to download",
            source=_kuairand("kuairand-pure", "KuaiRand-Pure", "0820331067a3784d9691136f772b35a7", 47),
            parameters=_KUAIRAND,
            provides=_PROVIDES,
        ),
        DatasetInfo(
            name="kuairand-1k",
            target="rmtl_bench_datasets.kuairand:KuaiRand1K",
            # Rows of one user, video and time stand in another order than in version 1.
            version=2,
            summary="KuaiRand-1K: 11.7 million exposures in complete sequences; CC BY-SA 4.0, to be downloaded",
            paper=_KUAIRAND_PAPER,
            licence="CC BY-SA 4.0",
            size="11,713,045 standard and 43,028 random exposures, 1,000 users; 1.1 GB to download",
            source=_kuairand("kuairand-1k", "KuaiRand-1K", "6b0b9c8222d67fcd4c676218edca3f1f", 1100),
            parameters=_KUAIRAND,
            provides=_PROVIDES,
        ),
        DatasetInfo(
            name="kuairand-27k",
            target="rmtl_bench_datasets.kuairand:KuaiRand27K",
            summary="KuaiRand-27K: 322 million exposures in complete sequences; CC BY-SA 4.0, to be downloaded",
            paper=_KUAIRAND_PAPER,
            licence="CC BY-SA 4.0",
            size="322,278,385 standard and 1,186,059 random exposures, 27,285 users; 9.9 GB to download, 46 unpacked",
            source=_kuairand("kuairand-27k", "KuaiRand-27K", "3e3c799a24e2d23a4d2c757fbf9adf59", 9892),
            parameters=_KUAIRAND,
            provides=_PROVIDES,
        ),
        DatasetInfo(
            name="kuairand-pure-sample",
            target="rmtl_bench_datasets.kuairand:KuaiRandPureSample",
            summary="two weeks of KuaiRand-Pure, real and embedded: 222,869 exposures; CC BY-SA 4.0",
            paper=_KUAIRAND_PAPER,
            licence="CC BY-SA 4.0",
            size="222,869 exposures, 25,156 users; embedded",
            parameters=_KUAIRAND,
            provides=_PROVIDES,
        ),
        DatasetInfo(
            name="retailrocket",
            target="rmtl_bench_datasets.retailrocket:RetailRocket",
            summary="RetailRocket: 2.7 million views in a web shop, put into the cart, bought; to be downloaded",
            paper="Retailrocket recommender system dataset, Kaggle, CC BY-NC-SA 4.0",
            licence="CC BY-NC-SA 4.0",
            size="2,756,101 events, 20,275,902 item properties; 942 MB unpacked",
            source=Source(
                homepage="https://www.kaggle.com/datasets/retailrocket/ecommerce-dataset",
                folder="retailrocket",
                kaggle="retailrocket/ecommerce-dataset",
                steps=(
                    "download the archive from the homepage, which may take an account at Kaggle",
                    "unpack events.csv, category_tree.csv and both item_properties files into {folder}",
                ),
            ),
            parameters={
                "sessions": Parameter("gap", "what a session of a visitor is", choices=("gap", "visitor")),
                "gap_minutes": _GAP,
                "split": _SPLIT,
                "min_session_rows": Parameter(1, "views that a session needs to be kept", minimum=1),
                "min_count": _MIN_COUNT,
                "at_boundary": _AT_BOUNDARY,
                "max_session_rows": Parameter(
                    0,
                    "views that a session may have before it counts as a robot's and is left out; 0: any number",
                    minimum=0,
                    added=True,
                ),
            },
            provides=_PROVIDES,
        ),
        DatasetInfo(
            name="simulated",
            target="rmtl_bench_datasets.simulated:Simulated",
            summary="sessions whose true probabilities are known, so that the best possible score is, too",
            version=2,
            parameters={
                "rows": Parameter(50_000, "number of rows", minimum=100),
                "tasks": Parameter(2, "number of tasks", minimum=1, maximum=20),
                "rates": Parameter((0.2, 0.05), "share of positives by task; a quarter of the one before if left out"),
                "conflict": Parameter(0.3, "0: the tasks agree, 0.5: unrelated, 1: opposed", minimum=0, maximum=1),
                "dependence": Parameter(0.3, "share of a session in the noise's variance", minimum=0, maximum=1),
                "signal": Parameter(0.6, "sd of the predictors against noise of sd 1", minimum=0),
                "sessions": Parameter(
                    "page", "whether a row tells its place in a session", choices=("page", "geometric")
                ),
                "session_length": Parameter(5.0, "rows of a page, mean rows of a geometric session", minimum=1),
                "funnel": Parameter(True, "whether each task is the parent of the next"),
                "split": _SPLIT,
                "seed": Parameter(0, "of the data themselves", minimum=0),
            },
            licence="none needed",
            size="as many rows as asked for, 100 million and more",
            provides=_PROVIDES | {"optimum"},
        ),
        *PEERS,
    ]
