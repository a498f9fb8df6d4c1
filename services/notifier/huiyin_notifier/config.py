"""Settings of the notifier."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from huiyin_chassis.config import ProcessSettings, port_number, setting


@dataclass(frozen=True)
class NotifierSettings(ProcessSettings):
    """What the notifier adds to the settings of every process."""

    port: int = setting("HUIYIN_PORT", 8084, "Port to serve on; 0 lets the system choose.", parse=port_number)
    metrics_port: int = setting(
        "HUIYIN_METRICS_PORT", 8094, "Port of /metrics, /healthz, /readyz; 0: none.", parse=port_number
    )
    database_url: str = setting(
        "HUIYIN_DATABASE_URL",
        "sqlite:///var/notifier/notifier.db",
        "sqlite:///path/to/file or postgresql://user@host/database.",
    )
    key_file: Path = setting("HUIYIN_KEY_FILE", Path("var/keys/private/notifier.pem"), "This process's private key.")
    collector_address: str = setting("HUIYIN_COLLECTOR_ADDRESS", "127.0.0.1:8081", "host:port of the collector.")
    casework_address: str = setting("HUIYIN_CASEWORK_ADDRESS", "127.0.0.1:8083", "host:port of casework.")
    allow_private_receivers: bool = setting(
        "HUIYIN_ALLOW_PRIVATE_RECEIVERS",
        False,
        "true lets webhooks go to addresses of this machine and of private networks.",
    )
    send_attempts: int = setting("HUIYIN_SEND_ATTEMPTS", 10, "Attempts to send a message before it is given up.")
    send_first_pause: float = setting(
        "HUIYIN_SEND_FIRST_PAUSE", 5.0, "Seconds before the second attempt; the pause doubles, up to ten minutes."
    )
    send_timeout: float = setting("HUIYIN_SEND_TIMEOUT", 10.0, "Seconds that a receiver has to take a message.")
    keep_days: int = setting("HUIYIN_KEEP_DAYS", 180, "Days after which a notification that was dealt with is deleted.")
