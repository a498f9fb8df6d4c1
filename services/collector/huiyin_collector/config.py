"""Settings of the collector."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from huiyin_chassis.config import ProcessSettings, port_number, setting


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError("give a whole number of at least 1")
    return int(text)


@dataclass(frozen=True)
class CollectorSettings(ProcessSettings):
    """What the collector reads from its environment."""

    port: int = setting("HUIYIN_PORT", 8081, "Port to serve on; 0 lets the system choose.", parse=port_number)
    metrics_port: int = setting(
        "HUIYIN_METRICS_PORT", 8091, "Port of /metrics, /healthz, /readyz; 0: none.", parse=port_number
    )
    database_url: str = setting(
        "HUIYIN_DATABASE_URL",
        "sqlite:///var/collector/collector.db",
        "sqlite:///path/to/file or postgresql://user@host/database.",
    )
    key_file: Path = setting(
        "HUIYIN_KEY_FILE",
        Path("var/keys/private/collector.pem"),
        "This process's private key; the collector calls nobody.",
    )
    voice_keys: Path = setting(
        "HUIYIN_VOICE_KEYS",
        Path("var/collector/voice-keys"),
        "Folder of the keys of the day, shared by the replicas; leave it out of backups.",
    )
    import_bytes: int = setting(
        "HUIYIN_IMPORT_BYTES", 512 * 2**20, "Largest file that may be imported, in bytes.", parse=_at_least_one
    )
    retention_days: int = setting(
        "HUIYIN_RETENTION_DAYS",
        180,
        "Days after its collection that a post is purged, unless a case holds it.",
        parse=_at_least_one,
    )
