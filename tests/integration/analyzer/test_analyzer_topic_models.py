"""Topic models on a real store: trained in a process of their own, kept, compared, put in force and taken back."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from google.api import httpbody_pb2
from google.longrunning import operations_pb2
from huiyin.analyzer.v1 import topic_model_pb2, topic_pb2
from huiyin_analyzer.service import AnalyzerServicer
from huiyin_analyzer.service.policies import check_grading
from huiyin_analyzer.store import MIGRATIONS, AnalyzerStore, topic_models
from huiyin_analyzer.trainings import Trainings
from huiyin_chassis.errors import DomainError, FailedPrecondition, InvalidArgument, NotFound, from_status
from huiyin_chassis.feed import Feed
from huiyin_chassis.identity import Principal, set_current_principal
from huiyin_chassis.operations import Operations
from huiyin_chassis.policies import Policies

from tests.databases import migrate

ADMIN = Principal("accounts/admin", roles=("admin",), everywhere=True)
WORDS = {
    "环境/保护": ["噪音", "油烟", "污水", "扬尘", "垃圾", "施工", "夜间", "恶臭"],
    "交通运输": ["公交", "路灯", "拥堵", "停车", "斑马线", "站台", "车费", "绕行"],
}
Model = topic_model_pb2.TopicModel


def rows(count: int = 12) -> list[tuple[str, str]]:
    """Labelled texts that differ."""
    chance = random.Random(1)
    return [
        ("，".join(chance.sample(words, 4)) + f"，第{number}次反映。", label)
        for label, words in WORDS.items()
        for number in range(count)
    ]


def table(labelled: list[tuple[str, str]]) -> bytes:
    """As CSV, with a column that is nobody's business."""
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow(("留言用户", "留言详情", "一级分类"))
    writer.writerows(("某人", *row) for row in labelled)
    return target.getvalue().encode()


class Running:
    """An analyzer's service and its trainings."""

    def __init__(self, store: AnalyzerStore, most_rows: int) -> None:
        self.store = store
        self.trainings = Trainings(store, most_rows=most_rows)
        self.service = AnalyzerServicer(store, Feed(store), Policies({"grading": check_grading}), self.trainings)
        self.working = asyncio.create_task(self.trainings.run())

    async def begin(self, content: bytes, **fields: object) -> operations_pb2.Operation:
        async def pieces() -> AsyncIterator[topic_model_pb2.TrainTopicModelRequest]:
            told = {"file_name": "rows.csv", "text_column": "留言详情", "label_column": "一级分类", **fields}
            yield topic_model_pb2.TrainTopicModelRequest(**told)  # type: ignore[arg-type]
            for start in range(0, len(content), 1000):
                body = httpbody_pb2.HttpBody(data=content[start : start + 1000])
                yield topic_model_pb2.TrainTopicModelRequest(file=body)

        return await self.service.TrainTopicModel(pieces(), None)

    async def done(self, name: str) -> operations_pb2.Operation:
        async with asyncio.timeout(60):
            while True:
                operation = await self.service.GetOperation(topic_model_pb2.GetOperationRequest(name=name), None)
                if operation.done:
                    return operation
                await asyncio.sleep(0.02)

    async def train(self, content: bytes, **fields: object) -> Model:
        operation = await self.done((await self.begin(content, **fields)).name)
        assert not operation.HasField("error"), operation.error
        model = Model()
        assert operation.response.Unpack(model)
        return model

    async def fault(self, content: bytes, **fields: object) -> DomainError:
        operation = await self.done((await self.begin(content, **fields)).name)
        assert operation.HasField("error")
        return from_status(operation.error)

    async def get(self, name: str) -> Model:
        return await self.service.GetTopicModel(topic_model_pb2.GetTopicModelRequest(name=name), None)

    async def activate(self, name: str) -> Model:
        return await self.service.ActivateTopicModel(topic_model_pb2.ActivateTopicModelRequest(name=name), None)

    async def list(self) -> list[tuple[str, int]]:
        found = await self.service.ListTopicModels(topic_model_pb2.ListTopicModelsRequest(), None)
        return [(model.name, model.state) for model in found.topic_models]

    async def add(self) -> None:
        """A model that was trained already."""
        await self.store.write(lambda tx: topic_models.add(tx, report=b"", model=b"bytes", author="accounts/admin"))


def run(url: str, test: Callable[[Running], Awaitable[None]], *, most_rows: int = 1000) -> None:
    async def body() -> None:
        set_current_principal(ADMIN)
        store = AnalyzerStore(url)
        await store.open()
        running = Running(store, most_rows)
        try:
            await test(running)
        finally:
            running.working.cancel()
            await asyncio.gather(running.working, return_exceptions=True)
            await store.close()

    migrate(url, MIGRATIONS)
    asyncio.run(body())


def children() -> Iterator[int]:
    """The processes that this one started."""
    for listed in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError):
            yield from map(int, listed.read_text().split())


async def training_process() -> int:
    """The process of a training, once it runs."""
    async with asyncio.timeout(30):
        while True:
            for process in children():
                with contextlib.suppress(OSError):
                    if b"huiyin_analyzer.training" in Path(f"/proc/{process}/cmdline").read_bytes():
                        return process
            await asyncio.sleep(0.01)


# Training


def test_a_model_is_trained_told_of_and_put_in_force(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.service.BatchUpdateTopics(
            topic_pb2.BatchUpdateTopicsRequest(topics=[topic_pb2.Topic(name="topics/交通运输", words=["末班车"])]), None
        )
        labelled = [*rows(), ("", "交通运输"), ("没有标签", ""), ("只有一条", "教育")]
        model = await running.train(table(labelled))
        assert (model.name, model.state, model.author) == ("topicModels/1", Model.STATE_ACTIVE, "accounts/admin")
        report = model.report
        assert (report.texts, report.skipped_rows, report.corrections, report.folds) == (24, 3, 0, 5)
        assert [(label.label, label.support) for label in report.labels] == [("交通运输", 12), ("环境/保护", 12)]
        assert [sum(row.predicted) for row in report.confusion] == [12, 12]
        assert sum(each.count for each in report.calibration.bins) == 24
        assert await running.get("topicModels/1") == model
        assert await running.list() == [("topicModels/1", Model.STATE_ACTIVE)]

    run(database_url, body)


def test_progress_names_the_step_and_a_model_can_be_kept_without_being_used(sqlite_url: str) -> None:
    async def body(running: Running) -> None:
        content = "\n".join(json.dumps({"t": text, "l": label}) for text, label in rows()).encode()
        operation = await running.begin(
            content, file_name="rows.jsonl", text_column="T", label_column=" l", inactive=True
        )
        metadata = topic_model_pb2.TrainTopicModelMetadata()
        assert operation.metadata.Unpack(metadata)
        assert (metadata.file_name, metadata.done, metadata.parts) == ("rows.jsonl", 0, 8)
        done = await running.done(operation.name)
        assert done.metadata.Unpack(metadata)
        assert (metadata.step, metadata.done) == (topic_model_pb2.TrainTopicModelMetadata.STEP_FITTING, 8)
        assert await running.list() == [("topicModels/1", Model.STATE_KEPT)]

    run(sqlite_url, body)


@pytest.mark.parametrize(
    ("content", "fields", "field", "reason"),
    [
        (table(rows()), {"label_column": "二级分类"}, "label_column", "COLUMN_UNKNOWN"),
        (table(rows()), {"file_name": "rows.xlsx"}, "file", "FILE_UNREADABLE"),
        (table(rows(2)), {}, "file", "TOO_FEW_EXAMPLES"),
        (table(rows(20)), {}, "file", "TOO_MANY_ROWS"),
    ],
)
def test_a_file_that_cannot_be_learnt_from_is_refused_in_words(
    sqlite_url: str, content: bytes, fields: dict[str, object], field: str, reason: str
) -> None:
    async def body(running: Running) -> None:
        error = await running.fault(content, **fields)
        assert isinstance(error, InvalidArgument)
        assert [(each.field, each.reason) for each in error.violations] == [(field, reason)]
        assert "反映" not in error.message and "某人" not in error.message
        assert await running.list() == []

    run(sqlite_url, body, most_rows=39)


def test_a_call_without_a_known_format_is_refused_at_once(sqlite_url: str) -> None:
    async def body(running: Running) -> None:
        with pytest.raises(InvalidArgument, match="format"):
            await running.begin(b"a", file_name="rows.doc")
        with pytest.raises(InvalidArgument, match="empty"):
            await running.begin(b"")

    run(sqlite_url, body)


def test_a_training_that_breaks_down_says_so_and_the_next_one_runs(sqlite_url: str) -> None:
    async def body(running: Running) -> None:
        operation = await running.begin(table(rows()))
        os.kill(await training_process(), signal.SIGKILL)
        error = from_status((await running.done(operation.name)).error)
        assert isinstance(error, FailedPrecondition) and error.reason == "TRAINING_FAILED"
        assert (await running.fault(table(rows(2)))).reason == "TOO_FEW_EXAMPLES"

    run(sqlite_url, body)


def test_a_training_that_is_cancelled_makes_no_model_and_the_next_one_runs(sqlite_url: str) -> None:
    async def body(running: Running) -> None:
        operation = await running.begin(table(rows()))
        await training_process()
        request = topic_model_pb2.CancelOperationRequest(name=operation.name)
        cancelled = await running.service.CancelOperation(request, None)
        assert cancelled.done and from_status(cancelled.error).reason == "OPERATION_CANCELLED"
        assert (await running.fault(table(rows(2)))).reason == "TOO_FEW_EXAMPLES"
        assert await running.done(operation.name) == cancelled
        assert not (await running.service.ListTopicModels(topic_model_pb2.ListTopicModelsRequest(), None)).topic_models

    run(sqlite_url, body)


def test_a_training_ends_with_the_service_and_is_found_lost_at_the_next_start(sqlite_url: str) -> None:
    async def body(running: Running) -> None:
        operation = await running.begin(table(rows()))
        process = await training_process()
        running.working.cancel()
        await asyncio.gather(running.working, return_exceptions=True)
        assert process not in set(children())
        assert await Operations(running.store).recover() == 1
        assert from_status((await running.done(operation.name)).error).reason == "OPERATION_LOST"

    run(sqlite_url, body)


def test_a_training_does_not_outlive_a_service_that_was_killed() -> None:
    job, never_written = os.pipe()
    try:
        numbers = [str(job)] * 3
        command = [sys.executable, "-m", "huiyin_analyzer.training", *numbers]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, pass_fds=[job], timeout=60, check=False)
    finally:
        os.close(job)
        os.close(never_written)
    assert done.returncode == 1


def test_the_process_that_serves_loads_no_training_library() -> None:
    program = "import huiyin_analyzer.__main__, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "numpy" in loaded and not loaded & {"sklearn", "scipy", "joblib", "openpyxl", "python_calamine"}


# In force


def test_an_older_model_is_put_in_force_again_and_none_too(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.add()
        await running.add()
        assert (await running.activate("topicModels/2")).state == Model.STATE_ACTIVE
        assert (await running.activate("topicModels/1")).state == Model.STATE_ACTIVE
        assert await running.list() == [("topicModels/2", Model.STATE_KEPT), ("topicModels/1", Model.STATE_ACTIVE)]
        await running.service.DeactivateTopicModel(topic_model_pb2.DeactivateTopicModelRequest(), None)
        assert {state for _, state in await running.list()} == {Model.STATE_KEPT}
        for name in ("topicModels/3", "topicModels/0", "topicModels/x"):
            with pytest.raises(NotFound):
                await running.activate(name)

    run(database_url, body)


def test_of_old_models_the_report_remains_and_the_one_in_force_is_kept(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.add()
        await running.activate("topicModels/1")
        for _ in range(topic_models.KEPT + 1):
            await running.add()
        states = dict(await running.list())
        assert states["topicModels/1"] == Model.STATE_ACTIVE and states["topicModels/2"] == Model.STATE_DISCARDED
        assert list(states.values()).count(Model.STATE_KEPT) == topic_models.KEPT
        with pytest.raises(FailedPrecondition, match="too old"):
            await running.activate("topicModels/2")

    run(database_url, body)
