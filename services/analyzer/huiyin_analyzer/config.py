"""Settings of the analyzer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from huiyin_chassis.config import ProcessSettings, port_number, setting


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError("give a whole number of at least 1")
    return int(text)


@dataclass(frozen=True)
class AnalyzerSettings(ProcessSettings):
    """Everything that the analyzer reads from its environment."""

    port: int = setting("HUIYIN_PORT", 8082, "Port to serve on; 0 lets the system choose.", parse=port_number)
    metrics_port: int = setting(
        "HUIYIN_METRICS_PORT", 8092, "Port of /metrics, /healthz and /readyz; 0: none.", parse=port_number
    )
    database_url: str = setting(
        "HUIYIN_DATABASE_URL",
        "sqlite:///var/analyzer/analyzer.db",
        "sqlite:///path/to/file or postgresql://user@host/database.",
    )
    key_file: Path = setting(
        "HUIYIN_KEY_FILE", Path("var/keys/private/analyzer.pem"), "The analyzer's private key, in PEM."
    )
    collector_address: str = setting("HUIYIN_COLLECTOR_ADDRESS", "127.0.0.1:8081", "host:port of the collector.")
    feed_days: int = setting(
        "HUIYIN_FEED_DAYS", 90, "Days that changes are kept for those who follow the feed.", parse=_at_least_one
    )
    training_bytes: int = setting(
        "HUIYIN_TRAINING_BYTES", 256 * 1024 * 1024, "Bytes of a file of labelled rows at most.", parse=_at_least_one
    )
    training_rows: int = setting(
        "HUIYIN_TRAINING_ROWS",
        20_000,
        "Labelled rows of a training at most; each takes about 125 KB of memory while it lasts.",
        parse=_at_least_one,
    )
