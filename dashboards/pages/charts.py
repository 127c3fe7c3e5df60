"""Options for ECharts. Colours are the style sheet's variables, so that a chart follows the theme by itself."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from dashboards.drift import WHAT, DriftDay
from dashboards.language import Locale
from dashboards.models import Certainty, Day, Minute

Options = dict[str, Any]

# The signs of the style sheet: a triangle that points down, a circle, one that points up.
SHAPES = {
    "negative": "path://M0,0 L10,0 L5,9 Z",
    "neutral": "path://M5,0 A5,5 0 1,1 4.99,0 Z M5,2.4 A2.6,2.6 0 1,0 5.01,2.4 Z",
    "positive": "path://M5,0 L10,9 L0,9 Z",
}
STRIPES = {
    "symbol": "rect",
    "dashArrayX": [1, 0],
    "dashArrayY": [1.5, 4],
    "rotation": -0.785,
    "color": "rgba(255,255,255,0.3)",
}
_LABEL = {"color": "var(--muted)", "fontSize": 12, "fontFamily": "inherit"}


def _axis(locale: Locale, *, percent: bool = False) -> Options:
    written = f"value.toLocaleString('{locale.language}'" + (", {style: 'percent'})" if percent else ")")
    return {
        "type": "value",
        "axisLabel": _LABEL | {":formatter": f"value => {written}"},
        "splitLine": {"lineStyle": {"color": "var(--line)"}},
        "splitNumber": 3,
        "minInterval": 0 if percent else 1,
    }


def _categories(labels: Sequence[str]) -> Options:
    return {
        "type": "category",
        "data": list(labels),
        "axisLabel": _LABEL | {"hideOverlap": True},
        "axisLine": {"lineStyle": {"color": "var(--line)"}},
        "axisTick": {"show": False},
    }


def _tooltip() -> Options:
    return {
        "trigger": "axis",
        "confine": True,
        "backgroundColor": "var(--surface)",
        "borderColor": "var(--line)",
        "textStyle": {"color": "var(--ink)", "fontFamily": "inherit", "fontSize": 13},
        "axisPointer": {"type": "shadow", "shadowStyle": {"color": "var(--muted)", "opacity": 0.08}},
    }


def _numbers(locale: Locale) -> Options:
    return {":valueFormatter": f"value => value == null ? '–' : value.toLocaleString('{locale.language}')"}


def _percents(locale: Locale) -> Options:
    options = "{style: 'percent', maximumFractionDigits: 1}"
    return {":valueFormatter": f"value => value == null ? '–' : value.toLocaleString('{locale.language}', {options})"}


def _legend(names: Sequence[tuple[str, str]]) -> Options:
    return {
        "type": "scroll",
        "pageIconSize": 9,
        "pageTextStyle": _LABEL,
        "pageIconColor": "var(--ink)",
        "pageIconInactiveColor": "var(--line)",
        "data": [{"name": name, "icon": icon} for name, icon in names],
        "top": 0,
        "left": 0,
        "itemWidth": 10,
        "itemHeight": 9,
        "itemGap": 18,
        "textStyle": _LABEL,
        "inactiveColor": "var(--line)",
    }


def volume(days: Sequence[Day], first: date, locale: Locale) -> Options:
    """Texts a day, stacked by sentiment, over their negative share. Days before `first` are shaded as the window before."""
    names = {sentiment: locale.t(f"total.{sentiment}") for sentiment in SHAPES}
    share = locale.t("volume.share")
    labels = [locale.day(day.day) for day in days]
    before = [label for day, label in zip(days, labels, strict=True) if day.day < first]
    shade: Options = {"silent": True, "itemStyle": {"color": "var(--muted)", "opacity": 0.07}, "data": []}
    if before:
        shade["label"] = _LABEL | {"position": "insideTopLeft", "distance": 6}
        shade["data"] = [[{"name": locale.t("volume.before"), "xAxis": before[0]}, {"xAxis": before[-1]}]]
    bars = [
        {
            "name": names[sentiment],
            "type": "bar",
            "stack": "texts",
            "barMaxWidth": 34,
            "data": [getattr(day, sentiment) for day in days],
            "itemStyle": {"color": f"var(--{sentiment})", "decal": STRIPES if sentiment == "negative" else None},
            "emphasis": {"disabled": True},
            "tooltip": _numbers(locale),
            **({"markArea": shade} if sentiment == "negative" else {}),
        }
        for sentiment in SHAPES
    ]
    line = {
        "name": share,
        "type": "line",
        "xAxisIndex": 1,
        "yAxisIndex": 1,
        "data": [None if day.negative_share is None else round(day.negative_share, 4) for day in days],
        "symbol": "circle",
        "symbolSize": 6,
        "lineStyle": {"color": "var(--accent)", "width": 2},
        "itemStyle": {"color": "var(--accent)"},
        "emphasis": {"disabled": True},
        "connectNulls": True,
        "tooltip": _percents(locale),
    }
    return {
        "animation": False,
        "grid": [
            {"left": 46, "right": 12, "top": 36, "height": "48%"},
            {"left": 46, "right": 12, "bottom": 8, "height": "20%"},
        ],
        "legend": _legend([*((names[s], SHAPES[s]) for s in SHAPES), (share, "roundRect")]),
        "tooltip": _tooltip(),
        "axisPointer": {"link": [{"xAxisIndex": "all"}]},
        "xAxis": [
            _categories(labels),
            _categories(labels) | {"gridIndex": 1, "axisLabel": {"show": False}},
        ],
        "yAxis": [
            _axis(locale),
            _axis(locale, percent=True) | {"gridIndex": 1, "min": 0, "max": 1, "interval": 0.5},
        ],
        "series": [*bars, line],
    }


def comparison(here: Sequence[Day], there: Sequence[Day], names: tuple[str, str], locale: Locale) -> Options:
    """Texts a day of two sides beside one another, over their negative shares; the second is striped, hollow and dashed."""
    looks = (("var(--accent)", None, "solid", "circle"), ("var(--neutral)", STRIPES, "dashed", "emptyDiamond"))
    bars, lines, signs = [], [], []
    for days, name, (colour, decal, dash, symbol) in zip((here, there), names, looks, strict=True):
        texts, share = locale.t("compare.texts", name=name), locale.t("compare.share", name=name)
        signs += [(texts, "rect"), (share, "roundRect")]
        shared = {"emphasis": {"disabled": True}}
        bars.append(
            shared
            | {"name": texts, "type": "bar", "barMaxWidth": 22, "data": [day.texts for day in days]}
            | {"itemStyle": {"color": colour, "decal": decal}, "tooltip": _numbers(locale)}
        )
        lines.append(
            shared
            | {"name": share, "type": "line", "xAxisIndex": 1, "yAxisIndex": 1, "connectNulls": True}
            | {"data": [None if day.negative_share is None else round(day.negative_share, 4) for day in days]}
            | {"symbol": symbol, "symbolSize": 7, "lineStyle": {"color": colour, "width": 2, "type": dash}}
            | {"itemStyle": {"color": colour}, "tooltip": _percents(locale)}
        )
    labels = [locale.day(day.day) for day in here]
    return {
        "animation": False,
        "grid": [
            {"left": 46, "right": 12, "top": 36, "height": "40%"},
            {"left": 46, "right": 12, "bottom": 8, "height": "28%"},
        ],
        "legend": _legend(signs),
        "tooltip": _tooltip(),
        "axisPointer": {"link": [{"xAxisIndex": "all"}]},
        "xAxis": [_categories(labels), _categories(labels) | {"gridIndex": 1, "axisLabel": {"show": False}}],
        "yAxis": [
            _axis(locale),
            _axis(locale, percent=True) | {"gridIndex": 1, "min": 0, "max": 1, "interval": 0.5},
        ],
        "series": [*bars, *lines],
    }


def throughput(minutes: Sequence[Minute], locale: Locale) -> Options:
    """Events a minute."""
    return {
        "animation": False,
        "grid": {"left": 46, "right": 12, "top": 14, "bottom": 26},
        "tooltip": _tooltip(),
        "xAxis": _categories([f"{minute.minute:%H:%M}" for minute in minutes]),
        "yAxis": _axis(locale),
        "series": [
            {
                "name": locale.t("health.events"),
                "type": "bar",
                "data": [minute.events for minute in minutes],
                "itemStyle": {"color": "var(--accent)"},
                "emphasis": {"disabled": True},
                "tooltip": _numbers(locale),
            }
        ],
    }


def certainty(days: Sequence[Certainty], locale: Locale) -> Options:
    """Mean confidence, and the shares of texts judged unsure and without an emotion."""
    lines = (
        ("health.confidence", [day.mean_confidence for day in days], "var(--accent)", "solid", "circle"),
        ("health.unsure", [day.unsure / day.texts for day in days], "var(--negative)", "dashed", "diamond"),
        ("health.abstained", [day.no_emotion / day.texts for day in days], "var(--neutral)", "dotted", "rect"),
    )
    return {
        "animation": False,
        "grid": {"left": 46, "right": 12, "top": 36, "bottom": 26},
        "legend": _legend([(locale.t(key), symbol) for key, *_, symbol in lines]),
        "tooltip": _tooltip() | {"axisPointer": {"type": "line", "lineStyle": {"color": "var(--muted)"}}},
        "xAxis": _categories([locale.day(day.day) for day in days]),
        "yAxis": _axis(locale, percent=True) | {"min": 0, "max": 1, "interval": 0.25},
        "series": [
            {
                "name": locale.t(key),
                "type": "line",
                "data": [round(value, 4) for value in values],
                "symbol": symbol,
                "symbolSize": 7,
                "lineStyle": {"color": colour, "type": dash, "width": 2},
                "itemStyle": {"color": colour},
                "emphasis": {"disabled": True},
                "tooltip": _percents(locale),
            }
            for key, values, colour, dash, symbol in lines
        ],
    }


def drift(days: Sequence[DriftDay], locale: Locale) -> Options:
    """The stability indices day by day, over the bounds at which they are read differently."""
    looks = (
        ("var(--accent)", "solid", "circle"),
        ("var(--negative)", "dashed", "diamond"),
        ("var(--positive)", "dotted", "rect"),
        ("var(--ink)", [8, 3, 2, 3], "triangle"),
    )
    read_from = ((0.1, "drift.reading.moving"), (0.25, "drift.reading.shifted"))
    bounds = {
        "silent": True,
        "symbol": "none",
        "label": _LABEL | {"position": "insideEndTop", "formatter": "{b}"},
        "lineStyle": {"color": "var(--muted)", "type": "dotted", "width": 1},
        "data": [{"yAxis": index, "name": locale.t(key)} for index, key in read_from],
    }
    series = [
        {
            "name": locale.t(f"drift.{what}"),
            "type": "line",
            "data": [getattr(day, what) for day in days],
            "symbol": symbol,
            "symbolSize": 7,
            "lineStyle": {"color": colour, "type": dash, "width": 2},
            "itemStyle": {"color": colour},
            "emphasis": {"disabled": True},
            "tooltip": _numbers(locale),
            **({"markLine": bounds} if what == WHAT[0] else {}),
        }
        for what, (colour, dash, symbol) in zip(WHAT, looks, strict=True)
    ]
    return {
        "animation": False,
        "grid": {"left": 46, "right": 12, "top": 36, "bottom": 26},
        "legend": _legend([(locale.t(f"drift.{what}"), look[2]) for what, look in zip(WHAT, looks, strict=True)]),
        "tooltip": _tooltip() | {"axisPointer": {"type": "line", "lineStyle": {"color": "var(--muted)"}}},
        "xAxis": _categories([locale.day(day.day) for day in days]),
        "yAxis": _axis(locale) | {"min": 0, "minInterval": 0, ":max": "value => Math.max(0.35, value.max)"},
        "series": series,
    }
