"""Published results: submissions to the leaderboards, written from a store, verified, and shown on a page."""

from __future__ import annotations

from rmtl_bench.submissions.building import Attribution, build
from rmtl_bench.submissions.form import Submission, read_submission
from rmtl_bench.submissions.leaderboards import page
from rmtl_bench.submissions.publishing import LEADERBOARDS, publish
from rmtl_bench.submissions.verifying import Fault, Verified, verify_file, verify_folder

__all__ = [
    "LEADERBOARDS",
    "Attribution",
    "Fault",
    "Submission",
    "Verified",
    "build",
    "page",
    "publish",
    "read_submission",
    "verify_file",
    "verify_folder",
]
