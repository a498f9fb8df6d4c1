"""What files cost that are imported: memory above idle and rows a second, beside a bare loop that only reads them.

A file of ROWS=1000000 rows as CSV and as JSON lines, and a workbook of a tenth of them, each into a collector of its
own, a process as it is run, over gRPC. Memory is the peak of its PSS, processes that it starts included, over what it
had before the file was sent. The bare loops are csv.DictReader, json.loads a line, and a workbook's rows as
python-calamine gives them; they keep nothing. The rows are the sample town's, numbered.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
import psutil
from google.api import httpbody_pb2
from huiyin.collector.v1 import collector_service_pb2, collector_service_pb2_grpc, post_pb2, source_pb2
from huiyin_chassis import client
from huiyin_chassis.identity import Principal, Signer, ensure_keys
from huiyin_chassis.migrate import migrate
from huiyin_collector.store import MIGRATIONS
from huiyin_local.ports import free_port
from openpyxl import Workbook
from python_calamine import CalamineWorkbook

from bench.texts import SAMPLES

_ROWS: Final = int(os.environ.get("ROWS") or 1_000_000)
_WORKBOOK_ROWS: Final = max(_ROWS // 10, 1)
_PIECE: Final = 256 * 1024
_SAMPLE_SECONDS: Final = 0.1
_SETTLE_SECONDS: Final = 3.0
_LOOK_SECONDS: Final = 0.25
_DESK: Final = Principal("accounts/desk", roles=("desk",), everywhere=True)


@dataclass(frozen=True)
class _Kind:
    """A format: its ending, its rows, how a file of it is made, and the bare loop over it, which counts."""

    ending: str
    rows: int
    make: Callable[[Path, int], None]
    bare: Callable[[Path], int]


def main() -> None:
    """Prints one JSON line last."""
    result: dict[str, float] = {"rows": _ROWS, "workbook_rows": _WORKBOOK_ROWS}
    for kind in _KINDS:
        with tempfile.TemporaryDirectory(prefix="huiyin-bench-") as name:
            result |= _measure(kind, Path(name))
            print(json.dumps(result), file=sys.stderr)
    print(json.dumps(result))


def _measure(kind: _Kind, folder: Path) -> dict[str, float]:
    path = folder / f"rows.{kind.ending}"
    kind.make(path, kind.rows)
    bare = _timed(lambda: _counted(kind.bare(path), kind.rows))
    with _collector(folder) as (process, address, keys), _peak(process) as memory:
        ours = _timed(lambda: _import(address, keys, path, kind.rows))
    name = kind.ending
    return {
        f"{name}_mb": round(memory.peak_mb - memory.idle_mb, 1),
        f"{name}_rows_per_s": round(kind.rows / ours),
        f"{name}_bare_rows_per_s": round(kind.rows / bare),
        f"{name}_ratio": round(bare / ours, 3),
        f"{name}_file_mb": round(path.stat().st_size / 1e6, 1),
    }


def _timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _counted(found: int, wanted: int) -> None:
    assert found == wanted, f"{found} rows of {wanted}"


# The files


def _rows(count: int) -> Iterator[dict[str, str]]:
    with (SAMPLES / "messages.csv").open(encoding="utf-8", newline="") as file:
        samples = list(csv.DictReader(file))
    for number in range(count):
        sample = samples[number % len(samples)]
        yield {**sample, "编号": f"{number}", "内容": f"{sample['内容']}（第{number}件）"}


def _make_csv(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = _rows(count)
        first = next(rows)
        writer = csv.DictWriter(file, first.keys())
        writer.writeheader()
        writer.writerow(first)
        writer.writerows(rows)


def _make_json_lines(path: Path, count: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in _rows(count))


def _make_workbook(path: Path, count: int) -> None:
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    for number, row in enumerate(_rows(count)):
        if not number:
            sheet.append(list(row))
        sheet.append(list(row.values()))
    book.save(path)


def _bare_csv(path: Path) -> int:
    with path.open(encoding="utf-8", newline="") as file:
        return sum(1 for _ in csv.DictReader(file))


def _bare_json_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for line in file if json.loads(line))


def _bare_workbook(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in CalamineWorkbook.from_filelike(file).get_sheet_by_index(0).iter_rows()) - 1


_KINDS: Final = (
    _Kind("csv", _ROWS, _make_csv, _bare_csv),
    _Kind("jsonl", _ROWS, _make_json_lines, _bare_json_lines),
    _Kind("xlsx", _WORKBOOK_ROWS, _make_workbook, _bare_workbook),
)


# The collector


@contextmanager
def _collector(folder: Path) -> Iterator[tuple[psutil.Process, str, Path]]:
    """A collector's process at rest, its address, and the keys."""
    keys, port = folder / "keys", free_port()
    ensure_keys(keys, ["collector", "gateway"])
    url = f"sqlite:///{folder / 'collector.db'}"
    migrate(url, MIGRATIONS)
    environment = {
        **os.environ,
        "HUIYIN_DATABASE_URL": url,
        "HUIYIN_PORT": str(port),
        "HUIYIN_METRICS_PORT": "0",
        "HUIYIN_KEY_FILE": str(keys / "private" / "collector.pem"),
        "HUIYIN_PUBLIC_KEYS": str(keys / "public"),
        "HUIYIN_VOICE_KEYS": str(folder / "voice-keys"),
        "HUIYIN_SECRETS": str(folder / "secrets"),
        "HUIYIN_IMPORT_BYTES": str(2**33),
        "HUIYIN_LOG_LEVEL": "error",
    }
    running = subprocess.Popen([sys.executable, "-m", "huiyin_collector"], env=environment)
    try:
        time.sleep(_SETTLE_SECONDS)
        yield psutil.Process(running.pid), f"127.0.0.1:{port}", keys
    finally:
        running.terminate()
        running.wait()


class _Memory:
    idle_mb = 0.0
    peak_mb = 0.0


@contextmanager
def _peak(process: psutil.Process) -> Iterator[_Memory]:
    """Follows the memory of a process; that before the block is its idle one."""
    memory, over = _Memory(), threading.Event()
    memory.idle_mb = memory.peak_mb = _pss_mb(process)

    def follow() -> None:
        while not over.wait(_SAMPLE_SECONDS):
            memory.peak_mb = max(memory.peak_mb, _pss_mb(process))

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield memory
    finally:
        over.set()
        thread.join()


def _pss_mb(process: psutil.Process) -> float:
    found = 0.0
    for each in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            found += each.memory_full_info().pss / 1e6
    return found


def _import(address: str, keys: Path, path: Path, rows: int) -> None:
    """Sends a file and waits until the last row of it is a post."""
    signer = Signer("gateway", keys / "private" / "gateway.pem")

    def called() -> tuple[tuple[str, str], ...]:
        return client.metadata(signer.sign(_DESK))

    with grpc.insecure_channel(address) as channel:
        stub = collector_service_pb2_grpc.CollectorServiceStub(channel)
        source = source_pb2.Source(kind=source_pb2.Source.KIND_FILE)
        request = source_pb2.CreateSourceRequest(source_id="board", source=source)
        stub.CreateSource(request, metadata=called(), wait_for_ready=True, timeout=60)
        operation = stub.ImportPosts(_pieces(path), metadata=called())
        while not operation.done:
            time.sleep(_LOOK_SECONDS)
            asked = collector_service_pb2.GetOperationRequest(name=operation.name)
            operation = stub.GetOperation(asked, metadata=called())
    assert not operation.HasField("error"), operation.error
    response = post_pb2.ImportPostsResponse()
    operation.response.Unpack(response)
    _counted(response.figures.created, rows)


def _pieces(path: Path) -> Iterator[post_pb2.ImportPostsRequest]:
    yield post_pb2.ImportPostsRequest(source="sources/board", file_name=path.name)
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield post_pb2.ImportPostsRequest(file=httpbody_pb2.HttpBody(data=piece))


if __name__ == "__main__":
    main()
