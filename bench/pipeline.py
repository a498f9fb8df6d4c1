"""The whole path with all five processes: from the first byte of a file to every event and case readable over HTTP.

Its measure is what `jieba.cut` alone needs for the same texts, in the same run, while the services are idle.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import httpx
import jieba
import psutil
from huiyin_local.layout import PROCESSES, Layout
from huiyin_local.ports import free_port
from huiyin_local.system import running

from bench import texts


def main() -> None:
    """Prints one JSON line last."""
    found = texts.find()
    print(f"{len(found.rows)} texts from {found.origin}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="huiyin-bench-") as folder:
        layout = Layout(Path(folder), free_port())
        with running(layout) as supervisor:
            jieba_per_s = _jieba_per_s(found.rows)
            before = _cpu_seconds(supervisor.processes())
            figures, seconds = _import(layout, found)
            processes = supervisor.processes()
            after = _cpu_seconds(processes)
            posts_per_s = figures["posts"] / seconds
            result = {
                **figures,
                "seconds": round(seconds, 3),
                "posts_per_s": round(posts_per_s, 1),
                "jieba_cut_per_s": round(jieba_per_s, 1),
                "ratio": round(posts_per_s / jieba_per_s, 2),
                "cpu_s": {name: round(after[name] - before[name], 2) for name in PROCESSES},
                "pss_mb": round(sum(map(_pss, processes.values())) / 1e6, 1),
                "ready_s": round(supervisor.ready_seconds, 2),
                "texts": found.origin,
            }
    print(json.dumps(result, ensure_ascii=False))


def _jieba_per_s(rows: list[tuple[str, str]]) -> float:
    jieba.setLogLevel("ERROR")
    jieba.initialize()
    started = time.perf_counter()
    for subject, detail in rows:
        list(jieba.cut(subject + detail))
    return len(rows) / (time.perf_counter() - started)


def _import(layout: Layout, found: texts.Texts) -> tuple[dict[str, int], float]:
    """Sends the file; returns what became of it and the seconds until all of it could be read."""
    key = tomllib.loads(layout.client_file.read_text("utf-8"))["keys"]["desk"]
    with httpx.Client(base_url=layout.address, headers={"authorization": f"Bearer {key}"}, timeout=60) as http:

        def total(path: str, **parameters: str) -> int:
            answer = http.get(path, params={"pageSize": 1, **parameters}).raise_for_status().json()
            return int(answer.get("totalSize", 0))

        source = {"displayName": "bench", "kind": "KIND_FILE", "expectsAnswer": True}
        http.post("/v1/sources", params={"sourceId": "bench"}, json=source).raise_for_status()
        body = found.file.read_bytes()
        started = time.perf_counter()
        operation = http.post(
            "/v1/sources/bench:importPosts",
            params={"fileName": found.file.name},
            content=body,
            headers={"content-type": "application/octet-stream"},
        )
        operation.raise_for_status()
        name = operation.json()["name"]
        while (seen := total("/v1/inquiries")) < len(found.rows):
            # Looking costs the services time; the nearer the end seems, the sooner it looks again.
            left = (time.perf_counter() - started) * (len(found.rows) - seen) / max(seen, 1)
            time.sleep(min(max(left / 2, 0.02), 0.2))
        # Every post has its membership before it becomes an inquiry, and every event that carries one its case.
        while total("/v1/cases", filter="state != STATE_MERGED") != total("/v1/events"):
            time.sleep(0.02)
        seconds = time.perf_counter() - started
        done = http.get(f"/v1/{name}").raise_for_status().json()
        assert int(done["response"]["figures"]["created"]) == len(found.rows), done
        figures = {
            "posts": total("/v1/events/-/memberships"),
            "events": total("/v1/events"),
            "inquiries": total("/v1/inquiries"),
            "cases": total("/v1/cases", filter="state != STATE_MERGED"),
        }
        assert figures["posts"] == figures["inquiries"] == len(found.rows), figures
        return figures, seconds


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _cpu_seconds(processes: dict[str, psutil.Process]) -> dict[str, float]:
    def seconds(process: psutil.Process) -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    return {name: sum(map(seconds, _family(process))) for name, process in processes.items()}


def _pss(process: psutil.Process) -> int:
    return sum(int(member.memory_full_info().pss) for member in _family(process))


if __name__ == "__main__":
    main()
