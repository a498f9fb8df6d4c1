"""Settings of the gateway."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from huiyin_chassis.config import ProcessSettings, port_number, setting


@dataclass(frozen=True)
class GatewaySettings(ProcessSettings):
    """Everything that the gateway reads from its environment."""

    port: int = setting("HUIYIN_PORT", 8080, "Port to serve HTTP on.", parse=port_number)
    metrics_port: int = setting(
        "HUIYIN_METRICS_PORT", 8090, "Port of /metrics, /healthz and /readyz; 0: none.", parse=port_number
    )
    database_url: str = setting(
        "HUIYIN_DATABASE_URL",
        "sqlite:///var/gateway/gateway.db",
        "sqlite:///path/to/file or postgresql://user@host/database.",
    )
    key_file: Path = setting(
        "HUIYIN_KEY_FILE", Path("var/keys/private/gateway.pem"), "The gateway's private key, in PEM."
    )
    collector_address: str = setting("HUIYIN_COLLECTOR_ADDRESS", "127.0.0.1:8081", "host:port of the collector.")
    analyzer_address: str = setting("HUIYIN_ANALYZER_ADDRESS", "127.0.0.1:8082", "host:port of the analyzer.")
    casework_address: str = setting("HUIYIN_CASEWORK_ADDRESS", "127.0.0.1:8083", "host:port of casework.")
    notifier_address: str = setting("HUIYIN_NOTIFIER_ADDRESS", "127.0.0.1:8084", "host:port of the notifier.")
    cors_origins: str = setting(
        "HUIYIN_CORS_ORIGINS",
        "",
        "Origins of web pages that may call from a browser, separated by commas; *: every one.",
    )
    calls_at_once: int = setting(
        "HUIYIN_CALLS_AT_ONCE",
        256,
        "Calls of the services under way at most; beyond, clients are told to come back. One service takes 6 in 10.",
    )
    connections: int = setting("HUIYIN_CONNECTIONS", 5000, "Clients connected at most, streams among them.")
    largest_upload: int = setting("HUIYIN_LARGEST_UPLOAD", 512 * 1024 * 1024, "Bytes of a file at most.")

    def addresses(self) -> dict[str, str]:
        """Where each service is."""
        return {
            "collector": self.collector_address,
            "analyzer": self.analyzer_address,
            "casework": self.casework_address,
            "notifier": self.notifier_address,
        }
