"""What SOURCES=10000 sources cost that are not due: a collector's process, as it is run, for SECONDS=30."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import psutil
from huiyin.collector.v1 import source_pb2
from huiyin_chassis import clock
from huiyin_chassis.identity import ensure_keys
from huiyin_chassis.migrate import migrate
from huiyin_chassis.store import Tx
from huiyin_collector.store import MIGRATIONS, CollectorStore
from huiyin_collector.store.tables import VISITS
from huiyin_local.ports import free_port
from sqlalchemy import update

_SOURCES: Final = int(os.environ.get("SOURCES") or 10_000)
_SECONDS: Final = float(os.environ.get("SECONDS") or 30)
_SETTLE_SECONDS: Final = 5.0
_A_DAY_US: Final = 86_400_000_000


def main() -> None:
    """Prints one JSON line last."""
    with tempfile.TemporaryDirectory(prefix="huiyin-bench-") as name:
        folder = Path(name)
        ensure_keys(folder / "keys", ["collector"])
        url = f"sqlite:///{folder / 'collector.db'}"
        migrate(url, MIGRATIONS)
        asyncio.run(_fill(url))
        cpu_percent, pss_mb = _cost(folder, url)
    print(json.dumps({"sources": _SOURCES, "cpu_percent": cpu_percent, "pss_mb": pss_mb}))


async def _fill(url: str) -> None:
    """Sources that were visited, the next in a day."""
    store = CollectorStore(url)
    await store.open()

    def add(tx: Tx) -> None:
        for number in range(_SOURCES):
            uri = f"https://host-{number}.town.example/feed.xml"
            source = source_pb2.Source(kind=source_pb2.Source.KIND_FEED, uri=uri)
            store.create_source(tx, f"s-{number}", source)
        tx.execute(update(VISITS).values(next_time=clock.micros(clock.now()) + _A_DAY_US))

    await store.write(add)
    await store.close()


def _cost(folder: Path, url: str) -> tuple[float, float]:
    """Percent of a core, and megabytes of memory, of a collector on that database."""
    environment = {
        **os.environ,
        "HUIYIN_DATABASE_URL": url,
        "HUIYIN_PORT": str(free_port()),
        "HUIYIN_METRICS_PORT": "0",
        "HUIYIN_KEY_FILE": str(folder / "keys" / "private" / "collector.pem"),
        "HUIYIN_PUBLIC_KEYS": str(folder / "keys" / "public"),
        "HUIYIN_VOICE_KEYS": str(folder / "voice-keys"),
        "HUIYIN_SECRETS": str(folder / "secrets"),
        "HUIYIN_LOG_LEVEL": "error",
    }
    running = subprocess.Popen([sys.executable, "-m", "huiyin_collector"], env=environment)
    try:
        process = psutil.Process(running.pid)
        time.sleep(_SETTLE_SECONDS)
        before, started = sum(process.cpu_times()[:2]), time.monotonic()
        time.sleep(_SECONDS)
        spent = sum(process.cpu_times()[:2]) - before
        percent = 100 * spent / (time.monotonic() - started)
        return round(percent, 2), round(process.memory_full_info().pss / 1e6, 1)
    finally:
        running.terminate()
        running.wait()


if __name__ == "__main__":
    main()
