"""What a client of the gateway meets: problem documents, etags, and the stream of changes, on a running system."""

from __future__ import annotations

import asyncio
import base64
import csv
import json
import threading
import time
import tomllib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import httpx
import pytest
from huiyin_client import AsyncClient, Client, Problem

from tests import files
from tests.e2e.conftest import SAMPLES, Start, System

ROWS = len((SAMPLES / "messages.csv").read_text("utf-8").splitlines()) - 1

Event = tuple[str, str, dict[str, object]]
"""id, kind, data"""


@pytest.fixture(scope="module")
def system(start: Start) -> Iterator[System]:
    with start("sqlite") as running:
        running.huiyin("import", str(SAMPLES / "messages.csv"))
        running.settle(ROWS)
        yield running


def client(system: System, account: str = "desk") -> httpx.Client:
    key = tomllib.loads(system.layout.client_file.read_text("utf-8"))["keys"][account]
    return httpx.Client(base_url=system.layout.address, headers={"authorization": f"Bearer {key}"}, timeout=20)


@pytest.mark.parametrize(
    ("verb", "path", "body", "status", "reason", "told"),
    [
        ("GET", "/v1/authors", None, 404, "ROUTE_UNKNOWN", "/v1/openapi.json"),
        ("DELETE", "/v1/cases", None, 405, "METHOD_NOT_ALLOWED", "GET"),
        ("GET", "/v1/cases/none", None, 404, "NOT_FOUND", "cases/none"),
        ("GET", "/v1/cases?pageSiz=3", None, 400, "FIELD_UNKNOWN", "pageSize"),
        ("GET", "/v1/cases?pageSize=5000", None, 400, "TOO_LARGE", "1000"),
        ("GET", "/v1/cases?filter=author=1", None, 400, "FILTER_INVALID", "is not a field"),
        ("GET", "/v1/cases?pageToken=x", None, 400, "PAGE_TOKEN_INVALID", "next_page_token"),
        ("POST", "/v1/inquiries:submit", b"{", 400, "JSON_INVALID", "line 1"),
        ("POST", "/v1/inquiries:submit", b'{"text": 3}', 400, "INVALID_ARGUMENT", "must be a string"),
        ("POST", "/v1/inquiries:submit", b"{}", 400, "REQUIRED", "text"),
        ("POST", "/v1/receipts:lookup", b'{"receipt": "AAAA"}', 404, "RECEIPT_UNKNOWN", "letter by letter"),
        ("POST", "/v1/accounts", b'{"roles": ["king"]}', 403, "PERMISSION_MISSING", "gateway.accounts.write"),
    ],
)
def test_a_refusal_is_a_problem_document(
    system: System, verb: str, path: str, body: bytes | None, status: int, reason: str, told: str
) -> None:
    with client(system) as http:
        answer = http.request(verb, path, content=body, headers={"content-type": "application/json"})
    document = answer.json()
    assert (answer.status_code, document["status"], document["reason"]) == (status, status, reason)
    assert answer.headers["content-type"] == "application/problem+json"
    assert told in document["detail"] + json.dumps(document, ensure_ascii=False)
    assert len(document["traceId"]) == 32 and answer.headers["x-trace-id"] == document["traceId"]


def test_who_does_not_sign_in_is_told_how(system: System) -> None:
    for headers in ({}, {"authorization": "Bearer hy_wrong"}, {"authorization": "Basic abc"}):
        answer = httpx.get(f"{system.layout.address}/v1/cases", headers=headers)
        assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith("Bearer")
    assert httpx.get(f"{system.layout.address}/v1/status").json()["serving"] is True


def test_a_stale_etag_is_412_with_if_match_and_409_without(system: System) -> None:
    with client(system) as http:
        case = http.get("/v1/cases", params={"pageSize": 1, "orderBy": "inquiry_count desc"}).json()["cases"][0]
        path = f"/v1/{case['name']}:assign"
        first = http.post(path, json={"leadUnit": "units/desk"}, headers={"if-match": f'"{case["etag"]}"'})
        assert first.status_code == 200 and first.headers["etag"] == f'"{first.json()["etag"]}"'
        assert http.post(path, json={"leadUnit": "units/desk", "etag": case["etag"]}).status_code == 409
        stale = http.post(path, json={"leadUnit": "units/desk"}, headers={"if-match": f'"{case["etag"]}"'})
        assert (stale.status_code, stale.json()["reason"]) == (412, "STALE_ETAG")


def test_the_python_client_reads_pages_writes_once_and_follows_changes(system: System) -> None:
    key = tomllib.loads(system.layout.client_file.read_text("utf-8"))["keys"]["desk"]
    with Client(system.layout.address, key) as huiyin:
        names = [case["name"] for case in huiyin.pages("/v1/cases", "cases", orderBy="create_time", limit=1500)]
        total = huiyin.get("/v1/cases", pageSize=1, filter="drill = false")["totalSize"]
        assert len(names) == len(set(names)) == int(total)
        for kept in ({"etag": huiyin.get(f"/v1/{names[0]}")["etag"]}, {}):
            once = {"note": "逐件核对"}
            noted = [
                huiyin.post(f"/v1/{names[0]}:note", once, idempotency_key=f"note-{kept}", **kept) for _ in range(2)
            ]
            assert noted[0]["etag"] == noted[1]["etag"]
        with pytest.raises(Problem) as stale:
            huiyin.post(f"/v1/{names[0]}:note", once, etag="stale")
        assert (stale.value.reason, stale.value.status) == ("STALE_ETAG", 412)

    async def follow() -> list[str]:
        async with AsyncClient(system.layout.address, key) as huiyin:
            stream = huiyin.changes(["case.*"])
            waiting = asyncio.ensure_future(anext(stream))
            while not waiting.done():  # the stream begins now, whenever that is
                await huiyin.post(f"/v1/{names[1]}:note", {"note": "再看"})
                await asyncio.wait([waiting], timeout=0.2)
            found = [waiting.result()]
            await stream.aclose()
            await huiyin.post(f"/v1/{names[2]}:note", {"note": "断线时写下"})
            again = huiyin.changes(["case.*"], found[0].cursor)
            async for change in again:
                found.append(change)
                if change.data["change"]["name"] == names[2]:
                    break
            await again.aclose()
            return [change.cursor for change in found]

    cursors = asyncio.run(follow())
    assert len(cursors) == len(set(cursors)) >= 2


def test_an_order_is_printed_as_a_page_that_may_do_nothing(system: System, tmp_path: Path) -> None:
    with client(system) as http:
        case = http.get("/v1/cases", params={"pageSize": 1, "filter": "state = STATE_REGISTERED"}).json()["cases"][0]
        assigned = http.post(f"/v1/{case['name']}:assign", json={"leadUnit": "units/desk"}).json()
        page = http.get(f"/v1/{assigned['order']}:print")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "sandbox" in page.headers["content-security-policy"] and page.headers["x-content-type-options"] == "nosniff"
    assert assigned["orderNumber"] in page.text
    printed = tmp_path / "order.html"
    system.huiyin("cases", "order", case["name"], "--html", str(printed))
    assert printed.read_text("utf-8") == page.text
    shown = system.huiyin("cases", "order", case["name"])
    assert assigned["orderNumber"] in shown and "in force" in shown


def test_many_cases_are_dealt_with_at_once_by_a_filter_that_is_kept(system: System) -> None:
    system.huiyin("filters", "save", "未交办", "state = REGISTERED")
    assert "未交办: state = REGISTERED" in system.huiyin("filters", "list")
    listed = json.loads(system.huiyin("cases", "list", "--saved", "未交办", "--limit", "3", "--json"))
    assert len(listed) == 3 and {case["state"] for case in listed} == {"STATE_REGISTERED"}
    shown = system.huiyin("cases", "bulk", "note", "--saved", "未交办", "--note", "节后回看", "--yes")
    assert shown.rstrip().endswith("0 refused") and f"{listed[0]['name']}  → REGISTERED" in shown
    assert "节后回看" in system.huiyin("cases", "show", listed[0]["name"])
    system.huiyin("filters", "delete", "未交办")
    assert not system.huiyin("filters", "list").strip()


def test_only_the_lead_unit_acts_and_only_what_the_table_allows(system: System) -> None:
    with client(system) as desk, client(system, "officer") as officer:
        case = desk.get("/v1/cases", params={"filter": "state = REGISTERED", "pageSize": 1}).json()["cases"][0]
        refused = officer.post(f"/v1/{case['name']}:accept", json={})
        assert refused.status_code == 400 and "assign (desk)" in refused.json()["detail"]
        assert officer.post(f"/v1/{case['name']}:assign", json={"leadUnit": "units/desk"}).status_code == 403


def test_a_reply_that_is_blocked_is_written_anew_published_and_offered_for_the_next_case(
    system: System, tmp_path: Path
) -> None:
    with client(system) as desk, client(system, "officer") as officer, client(system, "reviewer") as reviewer:
        case = desk.get("/v1/cases", params={"filter": "state = REGISTERED", "pageSize": 1}).json()["cases"][0]
        path = f"/v1/{case['name']}"
        desk.post(f"{path}:assign", json={"leadUnit": "units/desk"}).raise_for_status()
        officer.post(f"{path}:accept", json={}).raise_for_status()
        officer.post(f"{path}:draftReply", json={"text": "您好！请找王工13800138000。"}).raise_for_status()
        refused = reviewer.post(f"{path}:reviewReply", json={"decision": "DECISION_PASS"})
        assert (refused.status_code, refused.json()["reason"]) == (400, "REPLY_BLOCKED")
        officer.post(f"{path}:draftReply", json={"text": "您好！鹭鸶桥的护栏3月2日已换新。"}).raise_for_status()
        reviewer.post(f"{path}:reviewReply", json={"decision": "DECISION_PASS"}).raise_for_status()
        with client(system, "approver") as approver:
            approver.post(f"{path}:approveReply", json={"decision": "DECISION_PASS"}).raise_for_status()
        desk.post(f"{path}:publishReply", json={"publicSummary": "桥上护栏何时修好"}).raise_for_status()
    assert "[-请找王工13800138000。-]{+鹭鸶桥的护栏3月2日已换新。+}" in system.huiyin("replies", "diff", case["name"])
    (public,) = httpx.get(f"{system.layout.address}/v1/publications").json()["publications"]
    assert public["question"] == "桥上护栏何时修好"
    assert "鹭鸶桥的护栏" in system.huiyin("answers", "similar", "--text", "鹭鸶桥护栏坏了")
    past = tmp_path / "past.csv"
    past.write_text("问,答,谁\n云雀巷积水,云雀巷的下水道已疏通。,山里人\n", "utf-8")
    told = system.huiyin("answers", "import", str(past), "--answer", "答", "--text", "问", "--author", "谁")
    assert told.startswith("1 rows: 1 new")
    assert "past" in system.huiyin("answers", "similar", "--text", "云雀巷又积水了")


def test_importing_again_adds_none_and_rows_refused_are_named(system: System, tmp_path: Path) -> None:
    assert f"0 new, 0 edited, {ROWS} known already" in system.huiyin("import", str(SAMPLES / "messages.csv"))
    broken = tmp_path / "broken.csv"
    broken.write_text(
        "编号,主题,时间,内容\n1,好,2026/3/1 9:00:00,路灯坏了\n2,坏,昨天,井盖坏了\n3,,2026/3/1,\n", "utf-8"
    )
    told = system.huiyin("import", str(broken), "--no-answer")
    assert "3 rows: 1 new" in told and "2 refused" in told
    assert "row 3, publish_time" in told and "row 4" in told


def test_a_file_is_analyzed_row_by_row_and_nothing_of_it_is_stored(system: System, tmp_path: Path) -> None:
    with client(system) as http:
        before = http.get("/v1/events").json()["totalSize"]
        columns = ["--text", "内容", "--subject", "主题", "--time", "时间"]
        told = system.huiyin("analyze", str(SAMPLES / "messages.csv"), "--out", str(tmp_path / "read.csv"), *columns)
        assert f"{ROWS} rows written" in told and "cannot be read" not in told
        assert http.get("/v1/events").json()["totalSize"] == before
    with (
        (SAMPLES / "messages.csv").open(encoding="utf-8") as given,
        (tmp_path / "read.csv").open("r", -1, "utf-8") as read,
    ):
        pairs = list(zip(csv.DictReader(given), csv.DictReader(read), strict=True))
    assert all(row.items() <= found.items() for row, found in pairs)
    assert sum(found["topic_1"] != "" for _, found in pairs) > ROWS / 2
    assert any(found["places"].startswith("云溪市.") and found["times"] for _, found in pairs)


def test_what_is_hot_is_explained_and_an_event_sums_itself_up(system: System) -> None:
    hot = json.loads(system.huiyin("events", "hot", "--from", "2026-03-01", "--to", "2026-04-01", "--json"))
    heats = [found["heat"]["heat"] for found in hot["events"]]
    assert len(heats) == 20 and heats == sorted(heats, reverse=True)
    event = hot["events"][0]["event"]["name"]
    shown = json.loads(system.huiyin("events", "show", event, "--json"))
    texts = {member["post"]: " ".join(member["text"].split()) for member in shown["memberships"]}
    sentences = shown["summary"]["sentences"]
    assert sentences and all(sentence["text"] in texts[sentence["post"]] for sentence in sentences)


def test_the_export_has_every_membership(system: System) -> None:
    lines = system.huiyin("events", "export").splitlines()
    assert lines[0] == "event,post,external_id" and len(lines) > ROWS


def test_a_citizen_asks_and_looks_up_while_an_officer_watches(system: System) -> None:
    with system.start_huiyin("watch", "--kind", "inquiry.*") as watching:
        assert watching.stdout is not None
        try:
            seen: list[str] = []
            reader = threading.Thread(target=seen.extend, args=[islice(watching.stdout, 1)])
            reader.start()
            while reader.is_alive():  # the stream begins with what comes after it was opened
                asked = json.loads(system.huiyin("inquire", "路灯坏了一周，何时修好？", "--json"))
                reader.join(1)
        finally:
            watching.terminate()
    assert "inquiry.received" in seen[0] and "inquiries/" in seen[0] and "路灯" not in seen[0]
    told = system.huiyin("receipt", asked["receipt"])
    assert "answer by" in told and told.startswith(("RECEIVED", "IN_PROGRESS"))


def test_a_photograph_comes_with_an_inquiry_and_says_no_place_any_more(system: System, tmp_path: Path) -> None:
    path = tmp_path / "井盖.jpg"
    path.write_bytes(files.jpeg())
    asked = json.loads(system.huiyin("inquire", "路口的井盖松动", "--attach", str(path), "--json"))
    (file,) = json.loads(system.huiyin("receipt", asked["receipt"], "--json"))["attachments"]
    wanted = {"receipt": asked["receipt"], "attachment": file["id"]}
    answer = httpx.post(f"{system.layout.address}/v1/receipts:download", json=wanted)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''%E4%BA%95%E7%9B%96.jpg"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.content.startswith(b"\xff\xd8\xff") and files.UNSEEN.encode() not in answer.content


def test_running_cases_come_along_from_a_spreadsheet_with_their_dates_and_their_unit(
    system: System, tmp_path: Path
) -> None:
    path = tmp_path / "台账.csv"
    path.write_text(
        "工单编号,诉求内容,受理时间,办结期限,办理状态,主办单位\n"
        "G1,青石巷的公厕三个月没有开门,2026-03-02 09:30,2031-03-09 18:00,办理中,units/desk\n",
        "utf-8",
    )
    told = json.loads(system.huiyin("cases", "import", str(path), "--json"))
    assert (told["created"], told["refused"]) == (1, [])
    with client(system) as http:
        for _ in range(200):
            found = http.get("/v1/inquiries", params={"filter": 'external_id = "G1"'}).json()["inquiries"]
            if found[0].get("case"):
                break
            time.sleep(0.05)
        case = http.get(f"/v1/{found[0]['case']}").json()
    assert (case["state"], case["leadUnit"]) == ("STATE_ACCEPTED", "units/desk")
    assert found[0]["deadline"] == "2031-03-09T10:00:00Z"
    assert json.loads(system.huiyin("cases", "import", str(path), "--json"))["known"] == 1


def events(lines: Iterator[str]) -> Iterator[Event]:
    found: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            found[name] = value
        else:
            if "data" in found:
                yield found["id"], found["event"], json.loads(found["data"])
            found = {}


def test_a_stream_that_is_resumed_gives_every_change_once_and_in_order(system: System, tmp_path: Path) -> None:
    path = tmp_path / "more.csv"
    rows = "".join(
        f"s{number},夜间停电,2026/3/{number % 28 + 1} 9:00:00,竹溪村第{number}次停电\n" for number in range(40)
    )
    path.write_text(f"编号,主题,时间,内容\n{rows}", "utf-8")
    seen: list[Event] = []

    def read(http: httpx.Client, headers: dict[str, str], until: int) -> None:
        with http.stream("GET", "/v1/changes", params={"kinds": "membership.*"}, headers=headers) as answer:
            assert answer.status_code == 200
            lines = answer.iter_lines()
            next(lines)  # the welcome: from here on nothing is missed
            if not headers:
                system.huiyin("import", str(path))
            for event in events(lines):
                seen.append(event)
                if len(seen) >= until:
                    return

    with client(system) as http:
        read(http, {}, 10)
        read(http, {"last-event-id": seen[-1][0]}, 25)
        read(http, {"last-event-id": seen[-1][0]}, 40)
    sequences = [int(str(data["change"]["sequence"])) for _, _, data in seen]  # type: ignore[index]
    assert sequences == sorted(set(sequences))
    posts = [data["change"]["resource"]["externalId"] for _, _, data in seen]  # type: ignore[index]
    assert posts == [f"s{number}" for number in range(40)]
    assert "text" not in seen[0][2]["change"]["resource"]  # type: ignore[index,operator]


def test_a_cursor_that_cannot_be_served_is_410(system: System) -> None:
    def vector(epoch: str, sequence: int) -> str:
        cursor = base64.urlsafe_b64encode(f"{epoch}:{sequence}".encode()).decode().rstrip("=")
        return f"~~{cursor}~"

    with client(system) as http:
        foreign = http.get("/v1/changes", headers={"last-event-id": vector("00000000-0000-0000-0000-000000000000", 1)})
        assert (foreign.status_code, foreign.json()["reason"]) == (410, "CURSOR_UNKNOWN")
        assert http.get("/v1/changes", headers={"last-event-id": "nonsense"}).status_code == 400


def test_the_openapi_document_is_served(system: System) -> None:
    document = httpx.get(f"{system.layout.address}/v1/openapi.json").json()
    assert document["openapi"] == "3.1.0" and "/v1/cases/{case}:assign" in document["paths"]


def test_a_model_is_trained_put_in_force_and_corrected_from_the_command_line(system: System, tmp_path: Path) -> None:
    noise, bus = "夜里工地打桩，噪音很大", "公交车半小时不来，站台没有灯"
    labelled, unseen, told = tmp_path / "labelled.csv", tmp_path / "unseen.csv", tmp_path / "told.csv"
    rows = [
        f"{text}，这是第{number}次,{label}" for text, label in ((noise, "扰民"), (bus, "出行")) for number in range(8)
    ]
    labelled.write_text("\n".join(["内容,分类", *rows]), "utf-8")
    unseen.write_text("\n".join(["内容", "站台的灯坏了，公交车不停", "打桩的噪音"]), "utf-8")
    model = json.loads(
        system.huiyin("train", str(labelled), "--text", "内容", "--label", "分类", "--inactive", "--json")
    )
    assert (model["state"], model["report"]["texts"]) == ("STATE_KEPT", 16)
    system.huiyin("models", "activate", model["name"])
    system.huiyin("analyze", str(unseen), "--out", str(told), "--text", "内容")
    with told.open(encoding="utf-8-sig", newline="") as file:
        assert [row["topic_1"] for row in csv.DictReader(file)] == ["出行", "扰民"]
    with client(system) as http:
        (member,) = http.get("/v1/events/-/memberships", params={"pageSize": 1}).json()["memberships"]
        system.huiyin("topics", "correct", member["name"], "--topic", "出行", "--reason", "读过了")
        corrected = http.get("/v1/" + member["name"]).json()["membership"]
    assert (corrected["topic"], corrected["topicCorrected"]) == ("topics/出行", True)


def test_feeds_are_added_watched_and_exchanged_from_the_command_line(system: System, tmp_path: Path) -> None:
    # This machine's own addresses are refused, so each visit ends at once, with a reason.
    opml = tmp_path / "feeds.opml"
    opml.write_text('<opml><body><outline text="集市" xmlUrl="http://127.0.0.1:2/b"/></body></opml>', "utf-8")
    trial = system.start_huiyin("sources", "try", "http://127.0.0.1:1/feed")
    assert "ADDRESS_REFUSED" in trial.communicate(timeout=60)[0]
    assert trial.returncode == 1
    added = system.huiyin("sources", "add", "square", "http://127.0.0.1:1/feed", "--name", "广场", "--area", "青石镇")
    assert added == "sources/square http://127.0.0.1:1/feed\n"
    assert "1 added, 0 were there already" in system.huiyin("sources", "import-opml", str(opml))
    assert "0 added, 1 were there already" in system.huiyin("sources", "import-opml", str(opml))
    assert "广场 http://127.0.0.1:1/feed" in system.huiyin("sources", "list")
    deadline = time.monotonic() + 30
    while "ADDRESS_REFUSED" not in (shown := system.huiyin("sources", "health", "square")):
        assert time.monotonic() < deadline, shown
    assert "ADDRESS_REFUSED" in system.huiyin("sources", "health", "--failing")
    assert system.huiyin("sources", "run", "square") == "sources/square active\n"
    assert system.huiyin("sources", "pause", "square") == "sources/square paused\n"
    assert system.huiyin("sources", "resume", "square") == "sources/square active\n"
    assert 'xmlUrl="http://127.0.0.1:2/b"' in system.huiyin("sources", "export-opml")


def test_a_list_is_added_by_a_file_with_its_rules(system: System, tmp_path: Path) -> None:
    file = tmp_path / "notices.yaml"
    file.write_text(
        "kind: KIND_PAGE_LIST\nuri: http://127.0.0.1:3/n\npageList: {mostPages: 3, textSelector: 'p['}\n", "utf-8"
    )
    refused = system.start_huiyin("sources", "add", "notices", "--file", str(file))
    said = " ".join(refused.communicate(timeout=60)[1].split())
    assert "text_selector: is no CSS selector" in said
    assert refused.returncode == 1
    file.write_text(file.read_text("utf-8").replace("p[", "p"), "utf-8")
    added = system.huiyin("sources", "add", "notices", "--file", str(file), "--items", "li > a")
    assert added == "sources/notices http://127.0.0.1:3/n\n"
    with client(system) as http:
        source = http.get("/v1/sources/notices").json()
    assert source["pageList"] == {"itemSelector": "li > a", "mostPages": 3, "textSelector": "p"}
