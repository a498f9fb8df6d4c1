"""Posting answers to the partners who passed the inquiries on, again until they take them or a person does it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import httpcore
import structlog
from google.protobuf import json_format
from huiyin.casework.v1 import partner_pb2, task_pb2
from huiyin.casework.v1.inquiry_pb2 import Inquiry
from huiyin_chassis import clock, webhooks
from huiyin_chassis.addresses import is_public
from huiyin_chassis.connecting import AddressRefused, GuardedNetwork, HostUnknown, default_tls
from huiyin_chassis.errors import DomainError, FailedPrecondition, Unavailable
from huiyin_chassis.outbox import OutboxRow
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, select

from huiyin_casework import partners, published
from huiyin_casework.casefile import SYSTEM, CaseFiles
from huiyin_casework.model.steps import State
from huiyin_casework.resources import state_of
from huiyin_casework.rules import Rules
from huiyin_casework.secrets import Secrets
from huiyin_casework.store import INQUIRIES, CaseworkStore, Fields

log = structlog.get_logger(__name__)

_TYPE: Final = "inquiry.answered"
_CONNECTIONS: Final = 32
_GONE: Final = 410


class Poster:
    """Posts to addresses that others named: no redirect is followed, and of what comes back the status alone is read.

    `timeout`: seconds for the whole of it.
    """

    def __init__(self, rules: partners.CallbackRules, *, timeout: float) -> None:
        self._rules = rules
        self._timeout = timeout
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=default_tls(),
            max_connections=_CONNECTIONS,
            max_keepalive_connections=0,
            network_backend=GuardedNetwork((lambda address: True) if rules.private else is_public),
        )

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        """Returns once the body was taken. Raises DomainError, transient where it may be taken later."""
        if fault := self._rules.fault(url):
            raise _failed(fault)
        given = [(name.encode(), value.encode()) for name, value in headers.items()]
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._pool.stream("POST", url, headers=given, content=body) as answer,
            ):
                status = answer.status
        except TimeoutError as error:
            raise _failed(f"did not answer within {self._timeout:g} s") from error
        except HostUnknown as error:
            raise _failed("has a host name that is not known") from error
        except AddressRefused as error:
            why = "leads into a private network; where that is meant, set HUIYIN_ALLOW_PRIVATE_RECEIVERS=true"
            raise _failed(why) from error
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise _failed(f"could not be reached ({type(error).__name__})") from error
        if status == _GONE:
            raise FailedPrecondition("CALLBACK_GONE", "the partner's address answered 410: there is nobody any more")
        if not 200 <= status < 300:
            raise _failed(f"answered {status}")


def _failed(why: str) -> Unavailable:
    return Unavailable("CALLBACK_FAILED", f"the partner's address {why}")


@dataclass(frozen=True)
class _Letter:
    """An answer on its way. `url` is "" where there is nobody to post it to."""

    url: str
    secrets: Sequence[str]
    body: bytes


class Answering:
    """The outbox's handler of answers to partners. `give_up_after`: then a person of the desk passes the answer on."""

    def __init__(
        self, store: CaseworkStore, rules: Rules, secrets: Secrets, poster: Poster, *, give_up_after: timedelta
    ) -> None:
        self._store = store
        self._rules = rules
        self._secrets = secrets
        self._poster = poster
        self._give_up_after = give_up_after

    async def answer(self, rows: Sequence[OutboxRow]) -> Mapping[int, DomainError]:
        """Posts answers at the same time, so that one partner who is slow holds up no other for long."""
        outcomes = await asyncio.gather(*map(self._answer, rows))
        return {row.id: error for row, error in zip(rows, outcomes, strict=True) if error is not None}

    async def _answer(self, row: OutboxRow) -> DomainError | None:
        """Posts an answer; why it is to be posted again, None where it is not."""
        try:
            return await self._delivered(row, Inquiry.FromString(row.payload))
        except DomainError as error:  # of the store
            return error

    async def _delivered(self, row: OutboxRow, told: Inquiry) -> DomainError | None:
        letter = await self._store.read(lambda connection: self._letter(connection, told))
        if letter is None:
            return None
        try:
            await self._post(row.request_id, letter)
        except DomainError as error:
            if error.transient and clock.now() - row.create_time < self._give_up_after:
                return error
            log.warning("answer.given_up", inquiry=told.name, attempts=row.attempts + 1, reason=error.reason)
            await self._store.write(lambda tx: self._hand_over(tx, told))
            return None
        await self._store.write(lambda tx: self._note(tx, told))
        return None

    async def _post(self, message: str, letter: _Letter) -> None:
        if not letter.url:
            raise FailedPrecondition("NO_CALLBACK", "the partner is disabled, or answers are not posted to it any more")
        if not letter.secrets:
            raise Unavailable("SECRET_UNREADABLE", "the partner's secret was sealed by a key that is not here")
        sent = int(clock.now().timestamp())
        signatures = [webhooks.signature(secret, message, sent, letter.body) for secret in letter.secrets]
        headers = {
            "content-type": "application/json",
            "user-agent": "Huiyin",
            "webhook-id": message,
            "webhook-timestamp": str(sent),
            "webhook-signature": " ".join(signatures),
        }
        await self._poster.post(letter.url, headers, letter.body)

    def _letter(self, connection: Connection, told: Inquiry) -> _Letter | None:
        """What is posted; None where that answer was delivered, or is in force no longer."""
        row = connection.execute(select(INQUIRIES).where(INQUIRIES.c.id == _id(told))).one_or_none()
        if row is None or not _in_force(row._asdict(), told):
            return None
        partner = partners.find(connection, row.source)
        (answer, *_) = published.answers(connection, row)
        notice = partner_pb2.InquiryAnswered(
            type=_TYPE,
            timestamp=answer.publish_time,
            data=partner_pb2.InquiryAnswered.Data(external_id=row.external_id, answer=answer, refused=not row.reply_id),
        )
        body = json_format.MessageToJson(notice, indent=None, ensure_ascii=False).encode()
        if partner is None or partner["disabled"]:
            return _Letter("", [], body)
        now = clock.micros(clock.now())
        return _Letter(partner["callback_url"], partners.secrets_of(partner, self._secrets, now), body)

    def _note(self, tx: Tx, told: Inquiry) -> None:
        """The answer was delivered; the chain of its case records it, unless that is sealed."""
        files, inquiry = self._opened(tx, told)
        if inquiry is None:
            return
        case = files.case(inquiry["case_id"])
        files.inquiries.change(inquiry, deliver_time=tx.now_us)
        if state_of(case) != State.CLOSED:
            partner = inquiry["source"].removeprefix("partners/")
            files.record(case, "case.delivered", SYSTEM, {"inquiry": inquiry["id"], "partner": partner})
        files.tell_inquiry(inquiry, "inquiry.updated")
        files.write()

    def _hand_over(self, tx: Tx, told: Inquiry) -> None:
        """A task of the desk: to pass the answer on by another way."""
        files, inquiry = self._opened(tx, told)
        if inquiry is None:
            return
        key = f"deliver/{inquiry['reply_id'] or 'admission'}/{inquiry['id']}"
        if files.task(key) is not None:
            return
        replied = bool(inquiry["reply_id"])
        files.add_task(
            key,
            task_pb2.Task.KIND_DELIVER_REPLY if replied else task_pb2.Task.KIND_DELIVER_ADMISSION,
            files.case(inquiry["case_id"]),
            inquiry_id=inquiry["id"],
            source=inquiry["source"],
            external_id=inquiry["external_id"],
            reply_id=told.reply,
        )
        files.write()

    def _opened(self, tx: Tx, told: Inquiry) -> tuple[CaseFiles, Fields | None]:
        """The inquiry with its case, which is locked first, as by every other work; None as with `_letter`."""
        files = CaseFiles(tx, self._rules)
        case = tx.execute(select(INQUIRIES.c.case_id).where(INQUIRIES.c.id == _id(told))).scalar_one()
        files.case(case)
        inquiry = files.inquiries.find(tx.connection, _id(told))
        return files, inquiry if inquiry is not None and _in_force(inquiry, told) else None


def _id(told: Inquiry) -> str:
    return told.name.removeprefix("inquiries/")


def _in_force(inquiry: Mapping[str, object], told: Inquiry) -> bool:
    """Whether that answer still stands, and has not been delivered."""
    answered = inquiry["state"] == Inquiry.STATE_ANSWERED
    return answered and inquiry["reply_id"] == told.reply.rpartition("/")[2] and not inquiry["deliver_time"]
