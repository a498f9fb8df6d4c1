"""Moving in: running cases from the list of an earlier system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from huiyin.casework.v1 import answer_pb2, inquiry_pb2, running_case_pb2
from huiyin.collector.v1 import post_pb2
from huiyin_chassis import clock
from huiyin_chassis.bulk import insert_many
from huiyin_chassis.clock import micros_to_timestamp, timestamp_to_micros
from huiyin_chassis.identity import current_principal
from huiyin_chassis.ids import derived_id
from huiyin_chassis.masking import mask_text
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, select

from huiyin_casework import pastanswers, store
from huiyin_casework.casefile import CREATE_POST, INBOX, CaseFiles, new_inquiry
from huiyin_casework.model.moving import UNDER_ORDER, Came, Fault, Row, came, fault, unit_named
from huiyin_casework.rules import Rules
from huiyin_casework.secrets import Secrets
from huiyin_casework.service.answers import answer_row
from huiyin_casework.store import ANSWERS, CONTACTS, INQUIRIES, MOVING_IN, CaseworkStore, Fields

_Outcome = running_case_pb2.RunningCaseOutcome
_STATES = {
    number: Came(name.removeprefix("STATE_")) for name, number in running_case_pb2.RunningCase.State.items() if number
}


@dataclass(frozen=True, slots=True)
class _Decided:
    """A row, and what becomes of it."""

    given: running_case_pb2.RunningCase
    kind: _Outcome.Kind.ValueType
    state: Came
    key: str
    """The id of its inquiry, or of its answer."""
    unit: str = ""
    fault: Fault | None = None

    def told(self) -> _Outcome:
        """As the contract tells it."""
        outcome = _Outcome(row=self.given.row, kind=self.kind)
        if self.fault is not None:
            outcome.field, outcome.reason = self.fault.field, self.fault.reason
            outcome.description = self.fault.description
        elif self.state != Came.ANSWERED:
            outcome.inquiry = f"inquiries/{self.key}"
        return outcome


class MovingMethods:
    """What the service does with running cases that are brought along."""

    _store: CaseworkStore
    _rules: Rules
    _secrets: Secrets

    async def ImportCases(
        self, request: running_case_pb2.ImportCasesRequest, context: Any
    ) -> running_case_pb2.ImportCasesResponse:
        """Takes rows in; each is refused by itself, and the same row again changes nothing."""
        if request.validate_only:
            decided = await self._store.read(lambda connection: _decide(connection, request))
        else:
            account = current_principal().subject
            decided = await self._store.write(lambda tx: self._take_in(tx, request, account))
        return running_case_pb2.ImportCasesResponse(outcomes=(each.told() for each in decided))

    def _take_in(self, tx: Tx, request: running_case_pb2.ImportCasesRequest, account: str) -> list[_Decided]:
        decided = _decide(tx.connection, request)
        created = [each for each in decided if each.kind == _Outcome.KIND_CREATED]
        files = CaseFiles(tx, self._rules)
        file_name = mask_text(request.file_name)
        for each in created:
            self._add_inquiry(files, each.key, each.given)
        files.write()
        moving = [_moving(each, request.source, file_name, account) for each in created]
        insert_many(tx.connection, MOVING_IN, moving)
        sealed = [
            {"inquiry_id": each.key, "sealed": self._secrets.seal(each.given.contact)}
            for each in created
            if each.given.contact.strip()
        ]
        insert_many(tx.connection, CONTACTS, sealed)
        answers = [_answer(request.source, each.given) for each in decided if each.kind == _Outcome.KIND_ANSWER]
        pastanswers.replace(tx, [{**row, "create_time": tx.now_us} for row in answers])
        return decided

    def _add_inquiry(self, files: CaseFiles, inquiry_id: str, given: running_case_pb2.RunningCase) -> None:
        """The inquiry of a row, with the date that was promised, passed on to be read."""
        received = timestamp_to_micros(given.receive_time)
        row = files.inquiries.add(
            new_inquiry(
                inquiry_id,
                subject=mask_text(given.subject),
                text=mask_text(given.text or given.subject),
                channel=inquiry_pb2.Inquiry.CHANNEL_MOVED_IN,
                received=received,
                source=f"sources/{INBOX}",
                external_id=given.external_id.strip(),
                has_contact=bool(given.contact.strip()),
            )
        )
        answer = files.clocks.start_answer(row, urgent=given.urgent)
        if given.HasField("deadline"):
            files.clocks.promise(answer, timestamp_to_micros(given.deadline))
        files.inquiries.change(row, deadline=answer["deadline"])
        files.tell_inquiry(row, "inquiry.received")
        post = post_pb2.Post(
            external_id=inquiry_id,
            subject=row["subject"],
            text=row["text"],
            publish_time=micros_to_timestamp(received),
        )
        files.tx.outbox.add(CREATE_POST, post.SerializeToString(), derived_id("passed-on", inquiry_id))


def _decide(connection: Connection, request: running_case_pb2.ImportCasesRequest) -> list[_Decided]:
    """What becomes of each row."""
    names: dict[str, str] = {unit.id: unit.display_name for unit in store.units(connection)}
    now, first_rows, decided = clock.micros(clock.now()), dict[str, int](), []
    for given in request.rows:
        each = _read(given, request.source, names, now)
        if each.fault is None and (first := first_rows.setdefault(given.external_id.strip(), given.row)) != given.row:
            twice = Fault("external_id", "DUPLICATE", f"stands in row {first} too; keep one, or number them apart")
            each = _Decided(given, _Outcome.KIND_REFUSED, each.state, each.key, fault=twice)
        decided.append(each)
    ids = {each.key for each in decided}
    known = set(connection.execute(select(INQUIRIES.c.id).where(INQUIRIES.c.id.in_(ids))).scalars())
    known |= set(connection.execute(select(ANSWERS.c.id).where(ANSWERS.c.id.in_(ids))).scalars())
    return [
        _Decided(each.given, _Outcome.KIND_KNOWN, each.state, each.key)
        if each.fault is None and each.key in known
        else each
        for each in decided
    ]


def _read(given: running_case_pb2.RunningCase, source: str, names: Mapping[str, str], now: int) -> _Decided:
    row = Row(
        external_id=given.external_id,
        text=given.text or given.subject,
        state=_STATES.get(given.state),
        received=timestamp_to_micros(given.receive_time) if given.HasField("receive_time") else 0,
        deadline=timestamp_to_micros(given.deadline) if given.HasField("deadline") else 0,
        lead_unit=given.lead_unit.strip(),
        reply=given.reply_text,
        answered=timestamp_to_micros(given.answer_time) if given.HasField("answer_time") else 0,
    )
    state, found, unit = came(row), fault(row, now), ""
    if found is None and state in UNDER_ORDER:
        unit = unit_named(row.lead_unit, names) or ""
        if not unit:
            why = "is no unit here, or several are called so; write its id as `units/…`, or add the unit first"
            found = Fault("lead_unit", "UNIT_UNKNOWN", why)
    key = (
        str(_answer(source, given)["id"])
        if state == Came.ANSWERED
        else derived_id("moved-in", f"{source}\x1f{given.external_id.strip()}")
    )
    taken = _Outcome.KIND_ANSWER if state == Came.ANSWERED else _Outcome.KIND_CREATED
    return _Decided(given, taken if found is None else _Outcome.KIND_REFUSED, state, key, unit, found)


def _answer(source: str, given: running_case_pb2.RunningCase) -> Fields:
    """The row of an answer of the past."""
    answer = answer_pb2.Answer(
        subject=given.subject, question=given.text, text=given.reply_text, external_id=given.external_id.strip()
    )
    if given.HasField("answer_time"):
        answer.publish_time.CopyFrom(given.answer_time)
    return answer_row(source, answer)


def _moving(decided: _Decided, source: str, file_name: str, account: str) -> Fields:
    """What is still to be done for a row, once a case holds its inquiry."""
    return {
        "inquiry_id": decided.key,
        "source": mask_text(source),
        "file_name": file_name,
        "row": decided.given.row,
        "state": decided.state.value,
        "lead_unit": decided.unit,
        "topic": decided.given.topic.strip().removeprefix("topics/"),
        "place": decided.given.place.strip().removeprefix("places/"),
        "account": account,
    }
