"""Tasks of the desk."""

from __future__ import annotations

from typing import Any

from huiyin.casework.v1 import task_pb2
from huiyin_chassis.errors import FailedPrecondition, NotFound
from huiyin_chassis.filters import (
    Compare,
    boolean_field,
    compile_filter,
    enum_field,
    name_field,
    text_field,
    time_field,
)
from huiyin_chassis.identity import Principal, current_principal
from huiyin_chassis.paging import page, total
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, Select, select

from huiyin_casework import resources
from huiyin_casework.casefile import CaseFiles
from huiyin_casework.rules import Rules
from huiyin_casework.service.scope import reach, scope
from huiyin_casework.store import CASES, TASKS, CaseworkStore

_TASK_FIELDS: dict[str, Compare] = {
    "kind": enum_field(TASKS.c.kind, task_pb2.Task.Kind, "KIND_"),
    "state": enum_field(TASKS.c.state, task_pb2.Task.State, "STATE_"),
    "case": name_field(TASKS.c.case_id, "cases"),
    "source": text_field(TASKS.c.source),
    "create_time": time_field(TASKS.c.create_time),
    "drill": boolean_field(TASKS.c.drill),
}


class TaskMethods:
    """What the service does with tasks."""

    _store: CaseworkStore
    _rules: Rules

    async def GetTask(self, request: task_pb2.GetTaskRequest, context: Any) -> task_pb2.Task:
        """One task."""
        query = _tasks(current_principal()).where(TASKS.c.id == request.name.removeprefix("tasks/"))
        row = await self._store.read(lambda connection: connection.execute(query).mappings().one_or_none())
        if row is None:
            raise NotFound(request.name)
        return resources.task(row, row)

    async def ListTasks(self, request: task_pb2.ListTasksRequest, context: Any) -> task_pb2.ListTasksResponse:
        """Tasks, the oldest first."""
        principal = current_principal()
        query = _tasks(principal).where(compile_filter(request.filter, _TASK_FIELDS))

        def read(connection: Connection) -> task_pb2.ListTasksResponse:
            found = page(
                connection,
                query,
                [(TASKS.c.create_time, False), (TASKS.c.id, False)],
                page_size=request.page_size,
                page_token=request.page_token,
                binding=("tasks", request.filter, scope(principal)),
            )
            return task_pb2.ListTasksResponse(
                tasks=(resources.task(row._mapping, row._mapping) for row in found.rows),
                next_page_token=found.next_page_token,
                total_size=total(connection, query),
            )

        return await self._store.read(read)

    async def CompleteTask(self, request: task_pb2.CompleteTaskRequest, context: Any) -> task_pb2.Task:
        """Notes that a task is done, and records it in the chain of its case."""
        principal = current_principal()

        def complete(tx: Tx) -> task_pb2.Task:
            files = CaseFiles(tx, self._rules)
            task_id = request.name.removeprefix("tasks/")
            task = files.tasks.find(tx.connection, task_id)
            if task is None or tx.execute(_tasks(principal).where(TASKS.c.id == task_id)).first() is None:
                raise NotFound(request.name)
            if task["state"] != task_pb2.Task.STATE_OPEN:
                raise FailedPrecondition("TASK_DONE", f"{request.name} was completed by {task['completer']} before")
            message = files.complete_task(task, principal.subject, request.note)
            files.write()
            return message

        return await self._store.write_once(
            request.request_id, "CompleteTask", request, complete, task_pb2.Task, subject=principal.subject
        )


def _tasks(principal: Principal) -> Select[Any]:
    of_case = (CASES.c.title, CASES.c.grade, CASES.c.lead_unit, CASES.c.suggested_unit)
    query = select(TASKS, *of_case).join(CASES, CASES.c.id == TASKS.c.case_id)
    return query.where(reach(principal, TASKS.c.case_id))
