"""Answers of the past: taken over from files, found for a case or a text."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from typing import Any

from huiyin.casework.v1 import answer_pb2
from huiyin_chassis.bulk import chunks
from huiyin_chassis.clock import micros_to_timestamp, timestamp_to_micros
from huiyin_chassis.errors import FailedPrecondition, FieldViolation, InvalidArgument, NotFound
from huiyin_chassis.identity import Principal, current_principal
from huiyin_chassis.ids import derived_id
from huiyin_chassis.masking import mask_text
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, delete, select

from huiyin_casework import pastanswers
from huiyin_casework.model.checks import without_name
from huiyin_casework.pastanswers import AnswerSearch, PastAnswer
from huiyin_casework.personal import mask_personal
from huiyin_casework.service.scope import reach, visible_case
from huiyin_casework.store import ANSWERS, CASES, INQUIRIES, REPLIES, UNITS, CaseworkStore, Fields

_DEFAULT_LIMIT = 10
_ASKED = 20
"""Inquiries of a case that are asked together."""
_LIKELY = 0.1
"""Share of a question below which an answer has nothing to do with it."""
_SAME = ("source", "external_id", "subject", "question", "text", "unit", "publish_time")


class AnswerMethods:
    """What the service does with answers of the past."""

    _store: CaseworkStore
    _answers: AnswerSearch

    async def BatchCreateAnswers(
        self, request: answer_pb2.BatchCreateAnswersRequest, context: Any
    ) -> answer_pb2.BatchCreateAnswersResponse:
        """Takes answers over; the last of two with one id counts."""
        empty = [
            FieldViolation(f"answers[{index}].text", "is empty; leave a question without answer out", "REQUIRED")
            for index, answer in enumerate(request.answers)
            if not answer.text.strip()
        ]
        if empty:
            raise InvalidArgument.of(empty)
        rows = {row["id"]: row for row in (answer_row(request.source, answer) for answer in request.answers)}

        def write(tx: Tx) -> answer_pb2.BatchCreateAnswersResponse:
            known: dict[str, Any] = {}
            for chunk in chunks(rows):
                known |= {row.id: row for row in tx.execute(select(ANSWERS).where(ANSWERS.c.id.in_(chunk)))}
            new = [row for row in rows.values() if row["id"] not in known or not _is_same(known[row["id"]], row)]
            pastanswers.replace(tx, [{**row, "create_time": tx.now_us} for row in new])
            updated = sum(row["id"] in known for row in new)
            return answer_pb2.BatchCreateAnswersResponse(
                created=len(new) - updated, updated=updated, unchanged=len(rows) - len(new)
            )

        return await self._store.write(write)

    async def SearchAnswers(
        self, request: answer_pb2.SearchAnswersRequest, context: Any
    ) -> answer_pb2.SearchAnswersResponse:
        """The answers that resemble what is asked most."""
        principal = current_principal()
        if bool(request.text.strip()) == bool(request.case):
            raise InvalidArgument("text", "give either a text or a case, and not both", "REQUIRED")

        def search(connection: Connection) -> answer_pb2.SearchAnswersResponse:
            text, own = request.text, ""
            if request.case:
                own = visible_case(connection, principal, request.case)["id"]
                text = _asked(connection, own)
            limit = request.limit or _DEFAULT_LIMIT
            # Of a case that was answered the own answer comes first, and is no answer of another time.
            matches, searched, total = self._answers.search(connection, text, limit + bool(own))
            found = {match.number: match for match in matches if match.share >= _LIKELY}
            query = select(ANSWERS).where(ANSWERS.c.number.in_(found), ANSWERS.c.case_id != (own or "-"))
            rows = connection.execute(query).all()
            answers = sorted(pastanswers.read(connection, rows), key=lambda each: -found[each.row.number].score)
            shown = _shown(connection, principal, answers[:limit])
            return answer_pb2.SearchAnswersResponse(
                hits=(
                    answer_pb2.AnswerHit(
                        answer=message, score=found[answer.row.number].score, share=found[answer.row.number].share
                    )
                    for answer, message in zip(answers, shown, strict=False)
                ),
                searched=searched,
                total=total,
            )

        return await self._store.read(search)

    async def GetAnswer(self, request: answer_pb2.GetAnswerRequest, context: Any) -> answer_pb2.Answer:
        """One answer."""
        principal = current_principal()

        def read(connection: Connection) -> answer_pb2.Answer:
            row = connection.execute(select(ANSWERS).where(ANSWERS.c.id == _id(request.name))).one_or_none()
            if row is None:
                raise NotFound(request.name)
            return _shown(connection, principal, pastanswers.read(connection, [row]))[0]

        return await self._store.read(read)

    async def DeleteAnswer(
        self, request: answer_pb2.DeleteAnswerRequest, context: Any
    ) -> answer_pb2.DeleteAnswerResponse:
        """Deletes one that was imported."""

        def write(tx: Tx) -> answer_pb2.DeleteAnswerResponse:
            row = tx.execute(select(ANSWERS).where(ANSWERS.c.id == _id(request.name))).one_or_none()
            if row is None:
                raise NotFound(request.name)
            if row.reply_id:
                why = f"{request.name} is a reply of ours, which stays as long as cases/{row.case_id} does"
                raise FailedPrecondition("NOT_IMPORTED", why)
            tx.execute(delete(ANSWERS).where(ANSWERS.c.id == row.id))
            return answer_pb2.DeleteAnswerResponse()

        return await self._store.write(write)


def _id(name: str) -> str:
    return name.removeprefix("answers/")


def answer_row(source: str, answer: answer_pb2.Answer) -> Fields:
    """An imported answer as it is stored: masked, and without the name that it begins with."""
    subject, question = mask_text(answer.subject), mask_text(answer.question)
    text = mask_personal(without_name(answer.text))
    told = "\x1f".join((subject, question, text))
    key = answer.external_id or hashlib.sha256(told.encode()).hexdigest()
    return {
        "id": derived_id("answer", f"{source}\x1f{key}"),
        "reply_id": "",
        "case_id": "",
        "source": source,
        "external_id": answer.external_id,
        "subject": subject,
        "question": question,
        "text": text,
        "unit": answer.unit_display_name,
        "publish_time": timestamp_to_micros(answer.publish_time) if answer.HasField("publish_time") else 0,
    }


def _is_same(known: Any, row: Fields) -> bool:
    return all(getattr(known, name) == row[name] for name in _SAME)


def _asked(connection: Connection, case_id: str) -> str:
    """What the inquiries of a case ask, the first ones."""
    query = select(INQUIRIES.c.subject, INQUIRIES.c.text).where(INQUIRIES.c.case_id == case_id)
    rows = connection.execute(query.order_by(INQUIRIES.c.receive_time, INQUIRIES.c.id).limit(_ASKED)).all()
    text = "\n".join(f"{row.subject}\n{row.text}" for row in rows).strip()
    if not text:
        why = f"cases/{case_id} has no inquiry whose text is kept; give a text to search for"
        raise FailedPrecondition("NOTHING_ASKED", why)
    return text


def _shown(connection: Connection, principal: Principal, answers: Iterable[PastAnswer]) -> list[answer_pb2.Answer]:
    """Answers as a caller may see them: what was asked in a case beyond their reach is left out."""
    found = list(answers)
    cases = {each.row.case_id for each in found if each.row.reply_id}
    within = reach(principal, CASES.c.id)
    seen: Collection[str] = set(connection.scalars(select(CASES.c.id).where(CASES.c.id.in_(cases), within)))
    units = (
        select(REPLIES.c.id, UNITS.c.display_name)
        .join(UNITS, UNITS.c.id == REPLIES.c.unit)
        .where(REPLIES.c.id.in_([each.row.reply_id for each in found if each.row.reply_id]))
    )
    offices = {row.id: row.display_name for row in connection.execute(units)}
    return [_message(each, seen, offices.get(each.row.reply_id, each.row.unit)) for each in found]


def _message(answer: PastAnswer, seen: Collection[str], office: str) -> answer_pb2.Answer:
    row = answer.row
    is_ours = bool(row.reply_id)
    is_seen = not is_ours or row.case_id in seen
    return answer_pb2.Answer(
        name=f"answers/{row.id}",
        subject=answer.subject if is_seen else "",
        question=answer.question if is_seen else "",
        text=answer.text,
        unit_display_name=office,
        publish_time=micros_to_timestamp(row.publish_time) if row.publish_time else None,
        external_id=row.external_id,
        source=row.source,
        reply=f"cases/{row.case_id}/replies/{row.reply_id}" if is_ours else "",
    )
