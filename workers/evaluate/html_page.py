"""A page that needs nothing else: no script, no network, charts as inline SVG, in light and dark."""

from collections.abc import Iterable, Sequence
from html import escape

from workers.evaluate.bootstrap import Interval

_STYLE = """
:root{color-scheme:light dark;--page:#f9f9f7;--card:#fff;--ink:#131312;--quiet:#5c5b57;--edge:#e2e1dc;--grey:#8f8e88;
--c0:#2a78d6;--c1:#d9591f;--c2:#148a60;--c3:#7a4fc9;--c4:#a87400}
@media(prefers-color-scheme:dark){:root{--page:#131312;--card:#1d1d1b;--ink:#f4f4f1;--quiet:#b3b2ab;--edge:#383835;
--grey:#85847e;--c0:#4a93ea;--c1:#e97a45;--c2:#2fae82;--c3:#a588ea;--c4:#d09b2c}}
body{margin:0 auto;padding:24px;max-width:1200px;background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,sans-serif}
h1{font-size:24px;margin:0}h2{font-size:17px;margin:0 0 8px}p{margin:4px 0 12px;color:var(--quiet)}
main{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,480px),1fr));gap:16px;margin-top:16px}
section{background:var(--card);border:1px solid var(--edge);border-radius:8px;padding:16px;overflow-x:auto}
.wide{grid-column:1/-1}svg{max-width:100%;height:auto;font:12.5px system-ui,sans-serif}
svg text{fill:var(--ink)}.end{text-anchor:end}.middle{text-anchor:middle}.strong{font-weight:600}
svg .quiet{fill:var(--quiet)}.number{font-variant-numeric:tabular-nums}.whisker{stroke:var(--ink);stroke-width:1.5}
.grid{stroke:var(--edge)}.ideal{stroke:var(--grey);stroke-dasharray:5 4}.line{fill:none;stroke-width:2}
.dot{stroke:var(--card);stroke-width:2}.cell{fill:none;stroke:var(--edge)}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:5px 10px;text-align:right;border-bottom:1px solid var(--edge);vertical-align:top}
th{font-weight:600;color:var(--quiet)}th:first-child,td:first-child,.words{text-align:left}
td:last-child.words{overflow-wrap:anywhere}td small{color:var(--quiet);white-space:nowrap}
"""


def document(title: str, intro: str, sections: Iterable[str]) -> str:
    """The whole HTML document. `title` and `intro` are words, `sections` HTML."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{escape(title)}</h1><p>{escape(intro)}</p><main>{''.join(sections)}</main></body></html>\n"
    )


def section(title: str, inside: str, *, wide: bool = False) -> str:
    """A card. `inside` is HTML already."""
    wide_class = ' class="wide"' if wide else ""
    return f"<section{wide_class}><h2>{escape(title)}</h2>{inside}</section>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, words_from: int | None = None) -> str:
    """`head` is escaped here, the cells are HTML already; from column `words_from` on they are words, not figures."""

    def row(cells: Sequence[str], tag: str) -> str:
        texts = len(cells) if words_from is None else words_from
        figures, words = cells[:texts], cells[texts:]
        return "".join(
            [
                *(f"<{tag}>{cell}</{tag}>" for cell in figures),
                *(f'<{tag} class="words">{cell}</{tag}>' for cell in words),
            ]
        )

    body = "".join(f"<tr>{row(cells, 'td')}</tr>" for cells in rows)
    return f"<table><thead><tr>{row([escape(each) for each in head], 'th')}</tr></thead><tbody>{body}</tbody></table>"


def interval(each: Interval) -> str:
    """A share in percent, with its interval."""
    return f"{100 * each.value:.1f} <small>[{100 * each.low:.1f}, {100 * each.high:.1f}]</small>"


def signed(each: Interval) -> str:
    """A difference of shares in points, with its interval."""
    return f"{100 * each.value:+.1f} <small>[{100 * each.low:+.1f}, {100 * each.high:+.1f}]</small>"
