"""The ways out: a line in the log, or a webhook through Apprise."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import urllib.parse
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from types import ModuleType

import structlog
from huiyin_chassis.addresses import is_public

from huiyin_notifier.model.happenings import GRADES
from huiyin_notifier.model.rendering import Message
from huiyin_notifier.model.routes import HTTP_SCHEMES, Receiver
from huiyin_notifier.store import Delivery

log = structlog.get_logger(__name__)

IDEMPOTENCY_HEADER = "Idempotency-Key"
"""Tells a webhook that a message came before: it is the message's id, the same in every attempt."""

_THREADS = 4
_NAMES_IN_LOG = 20
_PROBLEM_LENGTH = 300


def write_log(delivery: Delivery) -> None:
    """Channel `log`: names and figures only, since nothing can be taken back from a log."""
    log.info(
        "notification.sent",
        message=delivery.id,
        receiver=delivery.receiver,
        causes=dict(Counter(item.kind for item in delivery.items)),
        grades=dict(Counter(item.grade for item in delivery.items if item.grade)),
        cases=list(dict.fromkeys(item.case or item.name for item in delivery.items))[:_NAMES_IN_LOG],
    )


class Webhook:
    """Channel `webhook`. `timeout`: seconds to connect, and seconds without a byte, before an attempt fails."""

    def __init__(self, *, timeout: float, allow_private: bool) -> None:
        self._timeout = timeout
        self._allow_private = allow_private
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="webhook")

    async def send(self, receiver: Receiver, key: str, message: Message, grade: str) -> str:
        """Sends once; what went wrong, empty when it was taken."""
        loop = asyncio.get_running_loop()
        try:
            # Twice for connecting and answering, and some for looking the name up.
            async with asyncio.timeout(3 * self._timeout):
                return await loop.run_in_executor(self._threads, self._send, receiver, key, message, grade)
        except TimeoutError:
            return f"no answer within {3 * self._timeout:g} s"
        except Exception as error:
            # A plugin of Apprise that raises is a failed attempt like any other.
            log.exception("notification.channel_raised", message=key, receiver=receiver.id)
            return f"the channel raised {type(error).__name__}; the notifier's log has more"

    def _send(self, receiver: Receiver, key: str, message: Message, grade: str) -> str:
        refusal = self._refusal(receiver.url)
        if refusal:
            return refusal
        apprise = _apprise()
        plugin = apprise.Apprise.instantiate(receiver.url, asset=apprise.AppriseAsset(app_id="Huiyin"))
        if plugin is None:
            return "Apprise cannot read the receiver's url; correct it in the routes policy"
        plugin.socket_connect_timeout = plugin.socket_read_timeout = self._timeout
        plugin.overflow_mode = apprise.OverflowMode.SPLIT  # WeCom takes 2 kB a message
        plugin.redirects = False  # a redirect could lead to an address that was not looked at
        if _scheme(receiver.url) in HTTP_SCHEMES:
            plugin.headers |= {**receiver.headers, IDEMPOTENCY_HEADER: key}
        kind = apprise.NotifyType.WARNING if grade in list(GRADES)[1:] else apprise.NotifyType.INFO
        with _Complaints() as complaints:
            taken = plugin.notify(body=message.body, title=message.title, notify_type=kind)
        return "" if taken else complaints.last or "the receiver did not take it"

    def _refusal(self, url: str) -> str:
        """Why a URL may not be posted to; empty when it may. Hosts of fixed services are not looked up."""
        parts = urllib.parse.urlsplit(url)
        if self._allow_private or parts.scheme not in HTTP_SCHEMES:
            return ""
        try:
            found = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
        except OSError:
            return "the receiver's host name is not known"
        if all(is_public(str(address[0])) for *_, address in found):
            return ""
        return (
            "the receiver's host is in a private network; set HUIYIN_ALLOW_PRIVATE_RECEIVERS=true where that is meant"
        )


class _Complaints(logging.Handler):
    """What Apprise logs in this thread while it sends: the only place where it says what went wrong."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.last = record.getMessage()[:_PROBLEM_LENGTH]

    def __enter__(self) -> _Complaints:
        logging.getLogger("apprise").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("apprise").removeHandler(self)


@cache
def _apprise() -> ModuleType:
    """Imported with the first webhook: it takes 70 ms and 20 MB that many installations never need."""
    import apprise

    logging.getLogger("apprise").propagate = False  # attempts are recorded; see _Complaints
    return apprise


def _scheme(url: str) -> str:
    return urllib.parse.urlsplit(url).scheme
