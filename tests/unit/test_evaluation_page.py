"""The page of an evaluation stands alone: whole HTML, nothing from elsewhere, every text escaped."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from workers.evaluate.answers import Answers
from workers.evaluate.bootstrap import Interval
from workers.evaluate.report import Mistake, Report, as_document, scored, scored_slices
from workers.evaluate.report_html import page
from workers.evaluate.slices import slices
from workers.evaluate.svg import Bars, Line, bar_chart, heat_map, line_chart

LABELS = ("bad & <worse>", "good")
EVIL = '</td><script>alert("x")</script> & <img src=http://evil.example/x onerror=alert(1)>'
VOID = {"meta", "img", "br", "link"}


class Outline(HTMLParser):
    """Every tag with its attributes, and whether each one that opens is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture
def report() -> Report:
    gold, pack, rival = (np.array(labels * 10) for labels in ([0, 1, 1, 0], [0, 1, 0, 0], [1, 1, 1, 0]))
    sure = np.tile([0.9, 0.8, 0.97, 0.6], 10)
    answers = [Answers("the pack", pack, 100.0, sure, sure - 0.1), Answers(f"rival {EVIL}", rival, 9.0)]
    outcomes = np.zeros((40, 2, 2, 2), np.int8)
    for at, each in enumerate(answers):
        outcomes[np.arange(40), at, gold, each.said] = 1
    return Report(
        head="quality",
        pack=("the pack", "1+abc"),
        files=("<file>.csv",),
        labels=LABELS,
        n=40,
        contestants=tuple(scored(answers, outcomes, gold)),
        slices=scored_slices(slices(["Fine thing"] * 40, ["en"] * 40), outcomes),
        left_out={"vader": "it needs <sentiment>"},
        mistakes=(Mistake(EVIL, LABELS[0], LABELS[1], 0.97),),
    )


def outline(report: Report) -> Outline:
    found = Outline()
    found.feed(page(report))
    found.close()
    assert found.open == []
    return found


def test_the_page_is_whole_html_and_loads_and_runs_nothing(report: Report) -> None:
    found = outline(report)
    assert {tag for tag, _ in found.tags} & {"script", "img", "link", "iframe", "object", "a", "image", "use"} == set()
    named = {name for _, attributes in found.tags for name in attributes}
    assert {name for name in named if name.startswith("on") or name in ("src", "href", "xlink:href")} == set()
    assert re.findall(r"url\(|@import", page(report)) == []
    policies = [
        a["content"] for tag, a in found.tags if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_what_comes_from_texts_labels_and_files_is_shown_as_it_is_and_does_nothing(report: Report) -> None:
    words = "".join(outline(report).words)
    assert [each for each in (EVIL, LABELS[0], "<file>.csv", "it needs <sentiment>") if each not in words] == []


def test_the_page_has_every_part_and_its_charts_are_well_formed(report: Report) -> None:
    document = page(report)
    charts = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", document, re.S)]
    assert [chart.get("aria-label") for chart in charts] == [
        "How the contestants compare",
        "Confusion matrix",
        "share that is right against confidence",
        "accuracy of those against share of the texts that are answered",
    ]
    headings = re.findall(r"<h2>(.*?)</h2>", document)
    assert headings[-3:] == ["Figures", "Where it fares how", "The mistakes it was surest of"]
    assert "prefers-color-scheme:dark" in document


def test_a_report_without_confidences_leaves_out_what_needs_them(report: Report) -> None:
    bare = [Answers("the pack", np.array([0, 1]), 1.0)]
    outcomes = np.array([[[[1, 0], [0, 0]]], [[[0, 0], [0, 1]]]], np.int8)
    contestants = tuple(scored(bare, outcomes, np.array([0, 1])))
    parts = scored_slices(slices(["a", "b"], ["en", "en"]), outcomes)
    document = page(Report("aspects", ("p", "1"), ("f",), LABELS, 2, contestants, parts, {}))
    assert re.findall(r"<h2>(.*?)</h2>", document) == [
        "On the same texts",
        "What the pack takes for what",
        "Figures",
        "Where it fares how",
    ]


def test_the_document_for_machines_is_in_percent_and_holds_the_pairing(report: Report) -> None:
    document = as_document(report)
    pack, rival = document["contestants"]
    assert (pack["accuracy"]["value"], rival["accuracy"]["value"]) == (75, 75)
    assert pack["accuracy"]["low"] < 75 < pack["accuracy"]["high"]
    assert "lead_of_the_pack" not in pack
    assert rival["lead_of_the_pack"]["accuracy"]["value"] == 0
    assert pack["confusion"] == [[20, 0], [10, 10]]
    # Sure of 0.9, 0.8, 0.97 (wrong) and 0.6, ten times each, then of a tenth less.
    assert pack["calibration"] == {"bins": 15, "ece_before": 41.75, "ece_after": 46.75}
    assert pack["abstaining"][-1] == {"confidence": 0.8, "coverage": 50.0, "accuracy": 50.0}
    assert [(part["by"], part["name"], part["n"]) for part in document["slices"]] == [
        ("language", "en", 40),
        ("length", "1–80 characters", 40),
    ]


# --- charts ------------------------------------------------------------------------------------------------------------


def test_a_bar_is_as_long_as_its_share_and_its_whisker_spans_the_interval() -> None:
    svg = ElementTree.fromstring(
        bar_chart([Bars("F1", [("a", Interval(0.5, 0.25, 0.75)), ("b", Interval(1.0, 1.0, 1.0))])])
    )
    half, full = (float(rect.attrib["width"]) for rect in svg.iter("rect"))
    assert full == pytest.approx(2 * half)
    left = float(next(svg.iter("rect")).attrib["x"])
    low, high = re.findall(r"[MH]([\d.]+)", next(svg.iter("path")).attrib["d"])[:2]
    assert (float(low) - left, float(high) - left) == pytest.approx((half / 2, 1.5 * half))


def test_a_confusion_cell_is_shaded_by_its_share_of_the_true_label() -> None:
    svg = ElementTree.fromstring(heat_map(("no", "yes"), np.array([[3, 1], [0, 0]])))
    shades = [float(rect.attrib["fill-opacity"]) for rect in svg.iter("rect") if "fill-opacity" in rect.attrib]
    assert shades == pytest.approx([0.6, 0.2, 0, 0])


def test_a_line_goes_up_where_figures_rise() -> None:
    chart = line_chart([Line("x", [(0, 0.5, "low"), (1, 1, "high")], 0, dots=True)], "x", "y", floor=0.5)
    first, last = ElementTree.fromstring(chart).iter("circle")
    assert float(first.attrib["cx"]) < float(last.attrib["cx"])
    assert float(first.attrib["cy"]) > float(last.attrib["cy"])
