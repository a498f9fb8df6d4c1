"""Topic models: training, reports, and which of them is in force."""

from __future__ import annotations

import re
import tempfile
from collections.abc import AsyncIterator
from typing import Any, Final

from google.longrunning import operations_pb2
from huiyin.analyzer.v1 import topic_model_pb2
from huiyin_chassis.errors import FailedPrecondition, InvalidArgument, NotFound
from huiyin_chassis.files import Format, UnreadableFile, receive
from huiyin_chassis.identity import current_principal
from huiyin_chassis.paging import page
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, Row, select

from huiyin_analyzer import resources
from huiyin_analyzer.store import TOPIC_MODELS, AnalyzerStore, topic_models
from huiyin_analyzer.trainings import Training, Trainings

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")
_FORMATS: Final = {
    topic_model_pb2.TrainTopicModelRequest.FORMAT_XLSX: Format.XLSX,
    topic_model_pb2.TrainTopicModelRequest.FORMAT_CSV: Format.CSV,
    topic_model_pb2.TrainTopicModelRequest.FORMAT_JSONL: Format.JSONL,
}


class TopicModelMethods:
    """What the service does with topic models."""

    _store: AnalyzerStore
    _trainings: Trainings

    async def TrainTopicModel(
        self, requests: AsyncIterator[topic_model_pb2.TrainTopicModelRequest], context: Any
    ) -> operations_pb2.Operation:
        """Receives the file; the training itself goes on in the background."""
        pieces = aiter(requests)
        first = await anext(pieces, None)
        if first is None:
            raise InvalidArgument("", "the call ended without a message; send the columns and the file")
        training = _training(first, current_principal().subject)
        try:
            await receive(
                training.file, first, pieces, most=self._trainings.most_bytes, setting="HUIYIN_TRAINING_BYTES"
            )
            return await self._trainings.begin(training)
        except BaseException:
            training.file.close()
            raise

    async def GetOperation(
        self, request: topic_model_pb2.GetOperationRequest, context: Any
    ) -> operations_pb2.Operation:
        """How a training stands."""
        return await self._trainings.operations.get(request.name)

    async def CancelOperation(
        self, request: topic_model_pb2.CancelOperationRequest, context: Any
    ) -> operations_pb2.Operation:
        """Ends a training."""
        return await self._trainings.operations.cancel(request.name)

    async def GetTopicModel(
        self, request: topic_model_pb2.GetTopicModelRequest, context: Any
    ) -> topic_model_pb2.TopicModel:
        """One model with its report."""

        def read(connection: Connection) -> topic_model_pb2.TopicModel:
            row = _row(connection, request.name)
            return resources.topic_model(row, topic_models.in_force(connection))

        return await self._store.read(read)

    async def ListTopicModels(
        self, request: topic_model_pb2.ListTopicModelsRequest, context: Any
    ) -> topic_model_pb2.ListTopicModelsResponse:
        """Models, the newest first."""

        def read(connection: Connection) -> topic_model_pb2.ListTopicModelsResponse:
            found = page(
                connection,
                select(*topic_models.COLUMNS),
                [(TOPIC_MODELS.c.number, True)],
                page_size=request.page_size,
                page_token=request.page_token,
                binding="topic models",
            )
            active = topic_models.in_force(connection)
            return topic_model_pb2.ListTopicModelsResponse(
                topic_models=[resources.topic_model(row, active) for row in found.rows],
                next_page_token=found.next_page_token,
            )

        return await self._store.read(read)

    async def ActivateTopicModel(
        self, request: topic_model_pb2.ActivateTopicModelRequest, context: Any
    ) -> topic_model_pb2.TopicModel:
        """Puts a model in force that is kept."""
        author = current_principal().subject

        def write(tx: Tx) -> topic_model_pb2.TopicModel:
            row = _row(tx.connection, request.name)
            if row.discarded:
                why = f"{request.name} is too old to be kept; train on its texts again, or choose a newer one"
                raise FailedPrecondition("MODEL_DISCARDED", why)
            if topic_models.in_force(tx.connection) != row.number:
                topic_models.choose(tx, row.number, author)
            return resources.topic_model(row, row.number)

        return await self._store.write(write)

    async def DeactivateTopicModel(
        self, request: topic_model_pb2.DeactivateTopicModelRequest, context: Any
    ) -> topic_model_pb2.DeactivateTopicModelResponse:
        """Puts no model in force."""
        author = current_principal().subject

        def write(tx: Tx) -> topic_model_pb2.DeactivateTopicModelResponse:
            if topic_models.in_force(tx.connection):
                topic_models.choose(tx, 0, author)
            return topic_model_pb2.DeactivateTopicModelResponse()

        return await self._store.write(write)


def _training(first: topic_model_pb2.TrainTopicModelRequest, author: str) -> Training:
    """What the first message says of a file, and an unlinked file to receive it. Raises InvalidArgument."""
    try:
        format = _FORMATS.get(first.format) or Format.of_name(first.file_name)
    except UnreadableFile as error:
        raise InvalidArgument("file_name", str(error), "FORMAT_UNKNOWN") from None
    return Training(
        tempfile.TemporaryFile(),
        first.file_name,
        format,
        first.text_column,
        first.label_column,
        first.subject_column,
        first.inactive,
        author,
    )


def _row(connection: Connection, name: str) -> Row[Any]:
    """The row of a model's name. Raises NotFound."""
    number = name.removeprefix("topicModels/")
    row = topic_models.get(connection, int(number)) if _NUMBER.fullmatch(number) else None
    if row is None:
        raise NotFound(name)
    return row
