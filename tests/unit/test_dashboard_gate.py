"""Who gets into the dashboard, under which name, and what the browser is told. ClickHouse is not needed for any of it."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from dashboards.application import application
from dashboards.gate import check_exposure
from dashboards.tokens import COOKIE, Caller, Doorman, Role
from dashboards.worker_metrics import quantile, summarised
from workers.errors import UsageError
from workers.settings import ClickHouseSettings, DashboardSettings, DashboardTokens, Settings

VIEWER, ANALYST, ADMIN = ("viewer-token-of-tests", "analyst-token-of-tests", "admin-token-of-tests")
TOKENS = DashboardTokens(viewer=(SecretStr(VIEWER),), analyst=(SecretStr(ANALYST),), admin=(SecretStr(ADMIN),))
NOBODY = ClickHouseSettings(port=1)  # nothing listens there


@contextmanager
def client(**dashboard: object) -> Iterator[TestClient]:
    settings = Settings(clickhouse=NOBODY, dashboard=DashboardSettings.model_validate(dashboard))
    with TestClient(application(settings, pages=False), base_url="http://127.0.0.1") as found:
        yield found


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "dashboard.example.com"])
def test_it_does_not_start_where_other_machines_reach_it_without_a_token(host: str) -> None:
    with pytest.raises(UsageError, match="VOXPOP_DASHBOARD__TOKENS"):
        check_exposure(DashboardSettings(host=host))
    check_exposure(DashboardSettings(host=host, tokens=TOKENS))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_on_loopback_it_starts_without_tokens(host: str) -> None:
    check_exposure(DashboardSettings(host=host))


def test_where_there_are_tokens_every_figure_needs_one() -> None:
    with client(tokens=TOKENS) as asking:
        for headers in ({}, bearer("wrong"), bearer(""), bearer(VIEWER[:-1]), {"Authorization": f"Basic {VIEWER}"}):
            answer = asking.get("/api/v1/overview", headers=headers)
            assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
            assert answer.headers["www-authenticate"].startswith("Bearer")
        assert (
            asking.get("/api/v1/overview", headers=bearer(VIEWER)).status_code == 503
        )  # let in; there is no ClickHouse


def test_a_token_in_the_address_is_not_taken() -> None:
    with client(tokens=TOKENS) as asking:
        assert asking.get(f"/api/v1/overview?token={ADMIN}").status_code == 401


@pytest.mark.parametrize(
    ("path", "least"),
    [
        ("/api/v1/overview", Role.VIEWER),
        ("/api/v1/health", Role.VIEWER),
        ("/api/v1/texts", Role.ANALYST),
        ("/api/v1/drift", Role.VIEWER),
        ("/api/v1/review", Role.ANALYST),
        ("/api/v1/texts/count", Role.ANALYST),
        ("/api/v1/texts.csv", Role.ANALYST),
        ("/api/v1/texts.parquet", Role.ANALYST),
        ("/api/v1/dead-letters", Role.ADMIN),
    ],
)
def test_a_role_may_do_what_it_may_and_no_more(path: str, least: Role) -> None:
    with client(tokens=TOKENS) as asking:
        for role, token in zip(Role, (VIEWER, ANALYST, ADMIN), strict=True):
            assert asking.get(path, headers=bearer(token)).status_code == (503 if role >= least else 403)


def test_a_session_is_as_good_as_its_token_until_it_ends_and_cannot_be_forged(monkeypatch: pytest.MonkeyPatch) -> None:
    doorman = Doorman(TOKENS)
    cookie = doorman.session(ANALYST)
    assert cookie is not None
    assert ANALYST not in cookie
    assert doorman.by_session(cookie) == Caller(Role.ANALYST, "analyst-1")
    assert doorman.session("wrong-token-of-tests") is None
    fingerprint, until, signature = cookie.split(".")
    admins = doorman.session(ADMIN)
    assert admins is not None
    forged = [
        f"{fingerprint}.{int(until) + 9999}.{signature}",
        f"{admins.split('.')[0]}.{until}.{signature}",
        f"{fingerprint}.{until}.",
        f"{fingerprint}.٣.{signature}",
        "..",
        "",
    ]
    assert [doorman.by_session(value) for value in forged] == [None] * len(forged)
    assert Doorman(DashboardTokens(viewer=(SecretStr(VIEWER),))).by_session(cookie) is None  # its token is gone
    with client(tokens=TOKENS) as asking:
        asking.cookies.set(COOKIE, cookie)
        assert asking.get("/api/v1/texts").status_code == 503
        assert asking.get("/api/v1/dead-letters").status_code == 403
    later = time.time() + 13 * 3600
    monkeypatch.setattr(time, "time", lambda: later)
    assert doorman.by_session(cookie) is None


@pytest.mark.parametrize("host", ["evil.example.com", "evil.example.com:8080", "127.0.0.1.evil.example.com", ""])
def test_a_page_elsewhere_cannot_reach_it_under_a_name_of_its_own(host: str) -> None:
    with client() as asking:
        assert asking.get("/healthz", headers={"Host": host}).status_code == 421
    with client(allowed_hosts=("evil.example.com",)) as asking:
        assert asking.get("/healthz", headers={"Host": "evil.example.com:8080"}).status_code == 200


CORRECTION = {"source": "x", "event_id": "1", "label": "neutral"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example.com"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8081"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_no_other_site_can_make_a_browser_change_anything(headers: dict[str, str]) -> None:
    for tokens in (DashboardTokens(), TOKENS):
        with client(tokens=tokens) as asking:
            asking.cookies.set(COOKIE, Doorman(TOKENS).session(ADMIN) or "")
            for path in ("/api/v1/feedback", "/sign-out"):
                assert asking.post(path, json=CORRECTION, headers=headers).status_code == 403
            own = {"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "same-origin"}
            assert asking.post("/api/v1/feedback", json=CORRECTION, headers=own).status_code == 503
            assert asking.get("/api/v1/overview", headers=headers).status_code == 503  # reading changes nothing


def test_what_a_form_of_another_site_could_send_is_no_correction() -> None:
    with client() as asking:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            sent = asking.post("/api/v1/feedback", content=json.dumps(CORRECTION), headers={"Content-Type": kind})
            assert (sent.status_code, sent.headers["content-type"]) == (422, "application/problem+json")


@pytest.mark.parametrize(
    "body",
    [
        {**CORRECTION, "label": "angry"},
        {**CORRECTION, "source": ""},
        {**CORRECTION, "event_id": "x" * 129},
        {**CORRECTION, "old_label": "neutral"},
        {**CORRECTION, "corrected_by": "somebody else"},
        {"label": "neutral"},
        [],
    ],
)
def test_a_correction_says_which_text_and_which_label_and_nothing_else(body: object) -> None:
    with client() as asking:
        assert asking.post("/api/v1/feedback", json=body).status_code == 422


def test_only_an_analyst_corrects() -> None:
    with client(tokens=TOKENS) as asking:
        answers = [
            asking.post("/api/v1/feedback", json=CORRECTION, headers=bearer(t)) for t in (VIEWER, ANALYST, ADMIN)
        ]
        assert [answer.status_code for answer in answers] == [403, 503, 503]
        assert asking.post("/api/v1/feedback", json=CORRECTION).status_code == 401


@pytest.mark.parametrize("path", ["/healthz", "/api/v1/overview", "/nowhere", "/api/v1/texts?limit=x"])
def test_every_answer_carries_the_headers_that_keep_a_browser_in_check(path: str) -> None:
    with client() as asking:
        headers = asking.get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "'unsafe-inline'" not in headers["content-security-policy"].split("script-src")[1].split(";")[0]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "server" not in headers


@pytest.mark.parametrize(
    "path", ["/api/v1/overview?days=x", "/api/v1/no", "/api/v1/texts?cursor=x", "/api/v1/products"]
)
def test_every_error_is_a_problem_that_says_what_to_do(path: str) -> None:
    with client() as asking:
        answer = asking.get(path)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code >= 400
    assert set(problem) == {"type", "title", "status", "detail"}
    assert "Traceback" not in answer.text


def test_without_clickhouse_it_lives_and_says_so() -> None:
    with client() as asking:
        assert asking.get("/healthz").json() == {"status": "ok"}
        answer = asking.get("/api/v1/overview")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


@pytest.mark.parametrize("path", ["/api/v1/products/../../healthz", "/api/v1/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd"])
def test_a_path_leads_nowhere_else(path: str) -> None:
    with client(tokens=TOKENS) as asking:
        answer = asking.get(path, headers=bearer(ADMIN))
        assert answer.status_code in (200, 404, 503)
        assert "root:" not in answer.text


# --- what workers say of themselves --------------------------------------------------------------------------------------

PAGE = """# TYPE voxpop_lag_messages gauge
voxpop_lag_messages{topic="voxpop.reviews",partition="0"} 3
voxpop_lag_messages{topic="voxpop.reviews",partition="1"} 4
# TYPE voxpop_latency_seconds histogram
voxpop_latency_seconds_bucket{le="0.5"} 40
voxpop_latency_seconds_bucket{le="1.0"} 90
voxpop_latency_seconds_bucket{le="+Inf"} 100
voxpop_latency_seconds_count 100
voxpop_latency_seconds_sum 60
"""


def test_lag_is_added_up_and_latency_read_off_the_buckets_of_all_workers() -> None:
    figures = summarised([PAGE, PAGE], asked=3)
    assert (figures.asked, figures.answered, figures.lag) == (3, 2, 14)
    assert figures.latency_p50_s == pytest.approx(0.6)
    assert figures.latency_p95_s == 1.0  # beyond the last bound nothing is known but that


def test_without_workers_nothing_is_made_up() -> None:
    figures = summarised([], asked=0)
    assert (figures.lag, figures.latency_p50_s) == (None, None)
    assert quantile({1.0: 0, float("inf"): 0}, 0.5) is None
