"""Settings of casework."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from huiyin_chassis.config import ProcessSettings, port_number, setting

MOST_BYTES: Final = 6_000_000
"""Of a file, so that its base64 fits into a request of 8 MiB."""


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError("give a whole number of at least 1")
    return int(text)


def _attachment_bytes(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_BYTES:
        raise ValueError(f"give a whole number from 1 to {MOST_BYTES}: that is what a request takes")
    return int(text)


def _callback_hours(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 96:
        raise ValueError("give a whole number from 1 to 96")
    return int(text)


@dataclass(frozen=True)
class CaseworkSettings(ProcessSettings):
    """Everything that casework reads from its environment."""

    port: int = setting("HUIYIN_PORT", 8083, "Port to serve on; 0 lets the system choose.", parse=port_number)
    metrics_port: int = setting(
        "HUIYIN_METRICS_PORT", 8093, "Port of /metrics, /healthz and /readyz; 0: none.", parse=port_number
    )
    database_url: str = setting(
        "HUIYIN_DATABASE_URL",
        "sqlite:///var/casework/casework.db",
        "sqlite:///path/to/file or postgresql://user@host/database.",
    )
    key_file: Path = setting(
        "HUIYIN_KEY_FILE", Path("var/keys/private/casework.pem"), "Casework's private key, in PEM."
    )
    collector_address: str = setting("HUIYIN_COLLECTOR_ADDRESS", "127.0.0.1:8081", "host:port of the collector.")
    analyzer_address: str = setting("HUIYIN_ANALYZER_ADDRESS", "127.0.0.1:8082", "host:port of the analyzer.")
    secrets: Path = setting(
        "HUIYIN_SECRETS",
        Path("var/casework/secrets"),
        "Folder of the keys of receipts, contacts and partners' secrets; made when missing, shared by replicas.",
    )
    attachment_bytes: int = setting(
        "HUIYIN_ATTACHMENT_BYTES",
        5_000_000,
        "Bytes of a file at an inquiry or an answer; 6,000,000 at most.",
        parse=_attachment_bytes,
    )
    attachments: int = setting(
        "HUIYIN_ATTACHMENTS", 6, "Files that an inquiry, or an answer, may have.", parse=_at_least_one
    )
    allow_private_receivers: bool = setting(
        "HUIYIN_ALLOW_PRIVATE_RECEIVERS",
        False,
        "true lets answers be posted to partners on this machine and in private networks.",
    )
    allow_plain_http: bool = setting(
        "HUIYIN_ALLOW_PLAIN_HTTP", False, "true lets answers be posted to partners without TLS."
    )
    callback_timeout: float = setting("HUIYIN_CALLBACK_TIMEOUT", 10.0, "Seconds that a partner has to take an answer.")
    callback_first_pause: float = setting(
        "HUIYIN_CALLBACK_FIRST_PAUSE",
        5.0,
        "Seconds before an answer is posted again; the pause doubles, up to an hour.",
    )
    callback_hours: int = setting(
        "HUIYIN_CALLBACK_HOURS",
        48,
        "Hours for which that is tried, up to 96; then the answer is a task for the desk.",
        parse=_callback_hours,
    )
    answer_days: int = setting(
        "HUIYIN_ANSWER_DAYS",
        3650,
        "Days that answers of the past are offered; imported ones are destroyed then.",
        parse=_at_least_one,
    )
    feed_days: int = setting(
        "HUIYIN_FEED_DAYS", 90, "Days that changes are kept for those who follow the feed.", parse=_at_least_one
    )
