"""Settings of the collector."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from huiyin_chassis.config import ProcessSettings, port_number, setting

VERSION: Final = "0.1"


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError("give a whole number of at least 1")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 31 * 86_400:
        raise ValueError("give seconds, 0 or more")
    return seconds


def _header_text(text: str) -> str:
    """What may stand in a header and within the parentheses of a User-Agent."""
    if not text.isascii() or not text.isprintable() or set(text) & set("();"):
        raise ValueError("write it in ASCII, without parentheses and semicolons")
    return text


def _product(text: str) -> str:
    if not text.isascii() or not text.replace("-", "").replace("_", "").isalpha():
        raise ValueError("give one word of letters, hyphens and underscores, as robots.txt knows crawlers")
    return text


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
    secrets: Path = setting(
        "HUIYIN_SECRETS",
        Path("var/collector/secrets"),
        "Folder of the key that seals the secrets of inboxes; made when missing, shared by replicas.",
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
    agent: str = setting("HUIYIN_AGENT", "Huiyin", "The name that robots.txt may give us.", parse=_product)
    operator: str = setting(
        "HUIYIN_OPERATOR", "", "Who runs this, shown to the sites that are read; ASCII.", parse=_header_text
    )
    contact: str = setting(
        "HUIYIN_CONTACT", "", "A mail address or page where sites reach the operator; ASCII.", parse=_header_text
    )
    visits_at_once: int = setting(
        "HUIYIN_VISITS_AT_ONCE", 32, "Sources that are visited at a time.", parse=_at_least_one
    )
    host_at_once: int = setting("HUIYIN_HOST_AT_ONCE", 2, "Visits of one host at a time.", parse=_at_least_one)
    host_pause: float = setting(
        "HUIYIN_HOST_PAUSE",
        1.0,
        "Seconds between two requests to one host; robots.txt may ask for more.",
        parse=_seconds,
    )
    visit_floor: float = setting(
        "HUIYIN_VISIT_FLOOR", 300.0, "Seconds between two visits of a source at least.", parse=_seconds
    )
    visit_ceiling: float = setting(
        "HUIYIN_VISIT_CEILING", 86_400.0, "Seconds between two visits of a source at most.", parse=_seconds
    )
    fetch_seconds: float = setting("HUIYIN_FETCH_SECONDS", 60.0, "Seconds that one document may take.", parse=_seconds)
    fetch_bytes: int = setting(
        "HUIYIN_FETCH_BYTES", 10 * 2**20, "Largest document that is read, in bytes, unpacked.", parse=_at_least_one
    )
    source_secrets: Path = setting(
        "HUIYIN_SOURCE_SECRETS",
        Path("var/collector/source-secrets"),
        "Folder of the secrets that interfaces want: HOST/NAME, a file each.",
    )
    allow_private_sources: bool = setting(
        "HUIYIN_ALLOW_PRIVATE_SOURCES",
        False,
        "true lets sources be on this machine and in private networks.",
    )

    @property
    def user_agent(self) -> str:
        """The project, who runs it, and how to reach them."""
        about = [f"operator: {self.operator or 'not named'}", f"contact: {self.contact or 'not given'}"]
        return f"{self.agent}/{VERSION} (Huiyin, collects public posts for a public body; {'; '.join(about)})"
