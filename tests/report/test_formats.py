from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tabulate import tabulate

from rmtl_bench.contracts.errors import UsageError
from rmtl_bench.report import FORMATS, Column, Document, LeaderboardSettings, Section, build_leaderboard, render
from rmtl_bench.report import leaderboard_document as lay_out
from rmtl_bench.statistics import Family

TEXT_FORMATS = ("table", "markdown", "latex", "html")


class _Page(HTMLParser):
    """Checks that tags close in order, and collects tags, attributes and the text of each element."""

    VOID = ("meta", "br", "hr", "img", "link", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.texts[self.open[-1]][-1] += data


@pytest.fixture(scope="module")
def rendered(board):
    document = lay_out(board)
    return {fmt: render(document, fmt) for fmt in FORMATS}


def _one_cell(text: str) -> Document:
    section = Section("s", (Column("method", width=12), Column("n", numeric=True)), ((text, "1"),))
    return Document("t", (), (section,), (), {})


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_format_ends_with_one_newline(rendered, fmt):
    assert rendered[fmt].endswith("\n")
    assert not rendered[fmt].endswith("\n\n")


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_format_takes_an_empty_leaderboard(make_scores, fmt):
    board = build_leaderboard(make_scores({}), None, LeaderboardSettings("nothing yet", {"auc": True}))
    assert render(lay_out(board), fmt).strip()


def test_an_unknown_format_is_refused_with_a_hint(board):
    with pytest.raises(UsageError, match="unknown format 'markdwon'; did you mean 'markdown'"):
        render(lay_out(board), "markdwon")


def test_an_unknown_metric_is_refused_with_a_hint(board):
    with pytest.raises(UsageError, match="unknown metric 'acu'; did you mean 'auc'"):
        lay_out(board, ["acu"])


@pytest.mark.parametrize("fmt", TEXT_FORMATS)
def test_notes_stand_above_every_table(rendered, fmt):
    text = rendered[fmt].replace("\\", "").replace("&amp;", "&")
    note = text.index("a sample & not the real thing")
    assert note < text.index("planned runs have no scores") < text.index("missing runs")


@pytest.mark.parametrize("fmt", TEXT_FORMATS)
def test_text_formats_show_the_metrics_asked_for_and_programs_get_all(board, fmt):
    document = lay_out(board, ["logloss"])
    text = render(document, fmt)
    assert "logloss (lower is better)" in text
    assert "auc" not in text
    assert {r["metric"] for r in json.loads(render(document, "json"))["leaderboard"]} == {"auc", "logloss"}


def test_metrics_come_in_the_order_asked_for(board):
    text = render(lay_out(board, ["logloss", "auc"]), "table")
    assert text.index("toy · click · logloss") < text.index("toy · click · auc") < text.index("toy · pay · logloss")


def test_the_table_shows_rank_mean_n_and_verdict_of_each_method(rendered):
    section = rendered["table"].split("toy · click · auc (higher is better), difference to equal\n")[1].split("\n\n")[0]
    rows = {line.split()[1]: line for line in section.splitlines()[2:]}
    assert list(rows)[:: len(rows) - 1] == ["ple/rmtl", "ple/gone"]
    assert re.fullmatch(
        r" +1  ple/rmtl +0\.7\d{4} ± 0\.\d{5} +8/8 +\+0\.0\d{4} ± 0\.\d{5} +\S+ +better", rows["ple/rmtl"]
    )
    assert re.match(r" +-  <b>&_x\|y/rmtl .* 6/8 ", rows["<b>&_x|y/rmtl"])
    assert re.match(r" +-  ple/gone +- +0/8 +- +- +-$", rows["ple/gone"])


def test_the_table_lists_the_missing_seeds_of_each_method(rendered):
    section = rendered["table"].split("missing runs\n")[1].split("\n\n")[0]
    assert [line.split(maxsplit=2)[1:] for line in section.splitlines()[2:]] == [
        ["<b>&_x|y/rmtl", "6, 7"],
        ["ple/gone", "0, 1, 2, 3, 4, 5, 6, 7"],
    ]


def test_the_table_wraps_at_the_width_of_a_column_and_changes_no_word():
    text = render(_one_cell("a/rather-long-name"), "table")
    assert all(len(line) <= 12 + 2 + 3 for line in text.splitlines()[3:])
    assert "a/rather-" in text
    for word in ("False", "1e5", "nan", "None"):
        assert word in render(_one_cell(word), "table")


def test_where_references_differ_each_row_names_its_own(make_scores):
    scores = make_scores({"a/x": [0.7, 0.8, 0.7], "b/x": [0.6, 0.7, 0.8], "b/y": [0.5, 0.6, 0.6]})
    family = Family("reference", ("a/x", "b/y"), ("b/x",), "all")
    board = build_leaderboard(scores, None, LeaderboardSettings("t", {"auc": True}, reference=family))
    text = render(lay_out(board), "table")
    assert "against" in text
    assert re.search(r"a/x .* b/x\n", text)
    assert re.search(r"b/y .* x\n", text)


def test_markdown_escapes_what_it_would_read_as_its_own(rendered):
    assert r"\<b\>\&\_x\|y/rmtl" in rendered["markdown"]
    assert "# T \\<i\\>" in rendered["markdown"]
    tables = [line for line in rendered["markdown"].splitlines() if line.startswith("|")]
    bars = [len(re.findall(r"(?<!\\)\|", line)) for line in tables]
    rules = [i for i, line in enumerate(tables) if set(line) <= set("|-: ")]
    assert len(rules) > 5
    for start, end in zip(rules, [*(rule - 1 for rule in rules[1:]), len(tables)], strict=True):
        # The heading, the rule and the rows have as many columns.
        assert len(set(bars[start - 1 : end])) == 1


def test_latex_escapes_what_it_would_read_as_its_own(rendered):
    assert r"\textless{}b\textgreater{}\&\_x\textbar{}y/rmtl" in rendered["latex"]
    for kind in ("table", "tabular"):
        assert rendered["latex"].count(f"\\begin{{{kind}}}") == rendered["latex"].count(f"\\end{{{kind}}}")
    assert rendered["latex"].isascii()


@pytest.mark.parametrize("name", ["[x]/w", "*/w"])
def test_latex_takes_no_name_for_an_argument_of_the_line_break(name):
    row = render(_one_cell(name), "latex").split("\\midrule\n")[1]
    assert row.startswith("{" + name[0] + "}")


@settings(deadline=None, max_examples=50)
@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=12))
def test_latex_leaves_no_special_character_bare(text):
    row = render(_one_cell(text), "latex").split("\\midrule\n")[1].splitlines()[0]
    body = row.removesuffix(r"& 1 \\")
    assert not re.search(r"(?<!\\)[&%$#_]|[~^<>|]", body)
    assert len(re.findall(r"(?<!\\)\{", body)) == len(re.findall(r"(?<!\\)\}", body))


@settings(deadline=None, max_examples=50)
@given(st.one_of(st.text(min_size=1, max_size=12), st.sampled_from(["<b>x</b>", "&lt;", "a<!--b", "</table>", "<i>"])))
def test_html_shows_any_text_as_it_is(text):
    section = Section(text, (Column(text),), ((text,),))
    page = _Page(render(Document(text, (text,), (section,), (text,), {}), "html"))
    assert page.open == []
    for tag in ("title", "h1", "p", "h2", "th", "td", "li"):
        assert [shown.splitlines() for shown in page.texts[tag]] == [text.splitlines()], tag


def test_html_parses_and_needs_nothing_from_outside(rendered):
    page = _Page(rendered["html"])
    assert page.open == []
    assert not {"src", "href", "srcset", "action"} & {name for name, _ in page.attributes}
    assert not {"script", "link", "img", "iframe", "b", "i"} & set(page.tags)
    assert not re.search(r"url\(|@import|https?:", rendered["html"])
    assert "<b>&_x|y/rmtl" in page.texts["td"]


def _refuse(constant: str) -> None:
    raise AssertionError(constant)


def test_json_lists_every_cell_with_its_n_and_has_no_nan(rendered, board):
    content = json.loads(rendered["json"], parse_constant=_refuse)
    cells = {(r["dataset"], r["task"], r["metric"], r["method"]): r for r in content["leaderboard"]}
    assert len(cells) == len(board.rows) == 2 * 2 * 5
    assert all(isinstance(r["n"], int) and isinstance(r["expected"], int) for r in cells.values())
    gone, best = cells["toy", "click", "auc", "ple/gone"], cells["toy", "click", "auc", "ple/rmtl"]
    assert (gone["n"], gone["expected"], gone["mean"], gone["rank"]) == (0, 8, None, None)
    assert (best["n"], best["rank"], best["verdict"]) == (8, 1, "better")
    assert len(content["missing"]) == 10
    assert content["notes"][0] == "a sample & not the real thing"
    assert content["settings"]["equivalence"] == {"auc": 0.001, "logloss": "0.1%"}


def test_json_has_the_numbers_of_the_frames(rendered, board):
    content = json.loads(rendered["json"])
    for name, frame in (("leaderboard", board.rows), ("comparisons", board.comparisons), ("delta_m", board.delta_m)):
        again = pd.DataFrame(content[name])
        assert list(again.columns) == list(frame.columns)
        for column in ("n", "low", "high"):
            assert pd.to_numeric(again[column]).tolist() == pytest.approx(frame[column].tolist(), nan_ok=True)


def test_csv_reads_back_with_pandas(rendered, board):
    table = pd.read_csv(io.StringIO(rendered["csv"]))
    assert set(table["table"]) == {
        *("leaderboard", "across", "comparisons", "delta_m", "counts", "claims", "missing", "incomplete"),
    }
    rows = table[table["table"] == "leaderboard"].reset_index(drop=True)
    assert rows["method"].tolist() == board.rows["method"].tolist()
    assert rows["mean"].tolist() == pytest.approx(board.rows["mean"].tolist(), nan_ok=True)
    assert rows["n"].tolist() == board.rows["n"].tolist()
    assert rows["rank"].astype("Int64").equals(board.rows["rank"])


def test_csv_of_nothing_is_a_header():
    assert render(Document("t", (), (), (), {}), "csv") == "table\n"


# tabulate takes blanks at both ends away, and lines of nothing else.
words = st.text(alphabet="ab-é±", min_size=1, max_size=9)
texts = st.lists(words, max_size=4).flatmap(lambda found: st.sampled_from([" ".join(found), "\n".join(found)]))


@given(data=st.data(), numeric=st.lists(st.booleans(), min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_a_table_for_the_terminal_is_tabulates_own(data, numeric):
    row = st.tuples(*(texts for _ in numeric))
    rows = data.draw(st.lists(row.filter(lambda cells: any(cells)), min_size=1, max_size=4))
    columns = tuple(Column(f"title {i}", numeric=right) for i, right in enumerate(numeric))
    document = Document("T", (), (Section("S", columns, tuple(rows)),), (), {})
    aligned = ["right" if right else "left" for right in numeric]
    headers = [column.title for column in columns]
    expected = tabulate(rows, headers, tablefmt="simple", disable_numparse=True, colalign=aligned)
    shown = render(document, "table").split("\nS\n")[1].rstrip("\n").splitlines()
    assert shown == [line.rstrip() for line in expected.rstrip().splitlines()]
