"""Descriptions of the data sets that the field's other multi-task benchmarks use; imports no torch and no DuckDB."""

from __future__ import annotations

from rmtl_bench import DatasetInfo, Download, Parameter, Source

PEERS: list[DatasetInfo] = [
    DatasetInfo(
        name="aliexpress",
        target="rmtl_bench_datasets.aliexpress:AliExpress",
        summary="AliExpress, one of four countries: clicked and bought on search pages; to be got with an account",
        paper="Li et al., Improving Multi-Scenario Learning to Rank in E-commerce, CIKM 2020",
        licence="Tianchi's terms of use, accepted with the account",
        size="NL 17.8, ES 31.6, FR 27.0, US 27.4 million exposures; archives of 1.5, 2.6, 2.3 and 2.3 GB",
        source=Source(
            homepage="https://tianchi.aliyun.com/dataset/74690",
            folder="aliexpress",
            steps=(
                "download aliexpress_NL_datasets.zip (or ES, FR, US) from the homepage; that takes an account",
                "put it into data/ of a clone of https://github.com/easezyc/Multitask-Recommendation-Library",
                "run there: python data/preprocess.py --dataset_name NL",
                "move data/AliExpress_NL/train.csv and data/AliExpress_NL/test.csv into {folder}/NL",
            ),
        ),
        parameters={
            "country": Parameter("NL", "whose search pages", choices=("NL", "ES", "FR", "US")),
            "valid": Parameter(
                0.2, "share of the training pages to validate on, by a hash", minimum=0.001, maximum=0.9
            ),
            "min_count": Parameter(2, "training rows that a value needs for an id of its own", minimum=1),
        },
        provides=frozenset({"sessions", "parent-task"}),
    ),
    DatasetInfo(
        name="ali-ccp",
        target="rmtl_bench_datasets.ali_ccp:AliCCP",
        summary="Ali-CCP: 85 million exposures at Taobao, clicked and bought, no sessions; to be got with an account",
        paper="Ma et al., Entire Space Multi-Task Model, SIGIR 2018, arXiv:1804.07931",
        licence="Tianchi's terms of use, accepted with the account",
        size="42.3 million exposures to train, 43 million to test; about 20 GB unpacked for training alone",
        source=Source(
            homepage="https://tianchi.aliyun.com/dataset/408",
            folder="ali-ccp",
            steps=(
                "download sample_train.tar.gz and sample_test.tar.gz from the homepage and unpack them; "
                "that takes an account",
                "take examples/ranking/data/ali-ccp/preprocess_ali_ccp.py of "
                "https://github.com/datawhalechina/torch-rechub",
                "run it where the unpacked files are: python preprocess_ali_ccp.py",
                "move ali_ccp_train.csv, ali_ccp_val.csv and ali_ccp_test.csv into {folder}",
            ),
        ),
        parameters={
            "valid": Parameter(
                0.2,
                "share of the training rows to validate on, where there is no ali_ccp_val.csv",
                minimum=0.001,
                maximum=0.9,
            ),
            "min_count": Parameter(2, "training rows that a value needs for an id of its own", minimum=1),
        },
        provides=frozenset({"parent-task"}),
    ),
    DatasetInfo(
        name="census-income",
        target="rmtl_bench_datasets.census_income:CensusIncome",
        summary="Census-Income (KDD): income above 50,000 dollars and never married, of 299,285 people; CC BY 4.0",
        paper="Census-Income (KDD), UCI, doi:10.24432/C5N30T; tasks of Ma et al., MMoE, KDD 2018",
        licence="CC BY 4.0",
        size="199,523 people to train, 99,762 to test; 9.8 MB to download, 156 MB unpacked",
        source=Source(
            homepage="https://archive.ics.uci.edu/dataset/117/census+income+kdd",
            folder="census-income",
            # The archive holds another one, so that unpacking it once is not enough.
            steps=(
                "curl -LO https://archive.ics.uci.edu/static/public/117/census+income+kdd.zip",
                "unzip census+income+kdd.zip",
                "tar -xzf census.tar.gz -C {folder}",
            ),
        ),
        parameters={
            "min_count": Parameter(2, "training rows that a value needs for an id of its own", minimum=1),
        },
        provides=frozenset(),
    ),
    DatasetInfo(
        name="movielens-1m",
        target="rmtl_bench_datasets.movielens:MovieLens1M",
        summary="MovieLens-1M: a million ratings against movies drawn at random, rated and liked; to be downloaded",
        paper="Harper and Konstan, The MovieLens Datasets, ACM TiiS 2015, doi:10.1145/2827872",
        licence="GroupLens: for research, no commercial use and no redistribution without permission",
        size="1,000,209 ratings of 3,883 movies by 6,040 users; 5.9 MB to download",
        source=Source(
            homepage="https://grouplens.org/datasets/movielens/1m/",
            folder="movielens-1m",
            downloads=(
                Download(
                    url="https://files.grouplens.org/datasets/movielens/ml-1m.zip",
                    checksum="md5:c4d9eecfca2ab87c1945afe126590906",
                ),
            ),
        ),
        parameters={
            "liked_from": Parameter(4, "stars from which on a rating is a like", minimum=2, maximum=5),
            "negatives": Parameter(
                4, "movies drawn for each rating, of which some are left out", minimum=1, maximum=100
            ),
            "sessions": Parameter("gap", "what a session of a user is", choices=("gap", "user")),
            "gap_minutes": Parameter(
                30.0, "minutes without a rating that end a session, where sessions = 'gap'", minimum=0
            ),
            "split": Parameter((0.6, 0.2, 0.2), "shares of train, valid and test, by time", minimum=0, maximum=1),
            "seed": Parameter(0, "of the movies drawn", minimum=0),
            "min_count": Parameter(2, "training rows that a value needs for an id of its own", minimum=1),
            "at_boundary": Parameter("cut", "what becomes of a session that a split parts", choices=("cut", "drop")),
        },
        provides=frozenset({"sessions", "parent-task"}),
    ),
]
