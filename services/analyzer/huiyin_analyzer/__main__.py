"""Wires the analyzer together: python -m huiyin_analyzer [serve|migrate|rebuild]."""

from __future__ import annotations

import asyncio
from pathlib import Path

from huiyin.analyzer.v1 import analyzer_service_pb2
from huiyin.analyzer.v1.analyzer_service_pb2_grpc import add_AnalyzerServiceServicer_to_server
from huiyin.collector.v1.collector_service_pb2_grpc import CollectorServiceStub
from huiyin.collector.v1.post_pb2 import WatchPostsRequest
from huiyin_chassis import client, process
from huiyin_chassis.consumer import Consumer
from huiyin_chassis.feed import Feed
from huiyin_chassis.identity import Signer
from huiyin_chassis.migrate import migrate
from huiyin_chassis.outbox import Dispatcher
from huiyin_chassis.policies import Policies
from huiyin_chassis.server import Server, Service

from huiyin_analyzer.config import AnalyzerSettings
from huiyin_analyzer.holds import Holds
from huiyin_analyzer.readers import Readers
from huiyin_analyzer.rebuilding import rebuild
from huiyin_analyzer.service import AnalyzerServicer
from huiyin_analyzer.service.policies import check_grading
from huiyin_analyzer.store import MIGRATIONS, AnalyzerStore
from huiyin_analyzer.store.regroupings import POSTS_CONSUMER
from huiyin_analyzer.tokenizer import note_tokenizer
from huiyin_analyzer.trainings import Trainings
from huiyin_analyzer.worker.following import Analysis
from huiyin_analyzer.worker.forgetting import Forgetting
from huiyin_analyzer.worker.indexing import Indexing
from huiyin_analyzer.worker.listing import Listing
from huiyin_analyzer.worker.regrading import Regrading
from huiyin_analyzer.worker.rereading import Rereading

_GRADING = Path(__file__).parent / "data" / "grading.yaml"
_KINDS = ("post.created", "post.updated", "post.reach_changed", "post.purged")


async def serve(settings: AnalyzerSettings) -> None:
    """Serves until it is told to stop."""
    store = AnalyzerStore(settings.database_url)
    await store.open()
    signer = Signer("analyzer", settings.key_file)
    policies = Policies({"grading": check_grading})
    await store.write(lambda tx: policies.seed(tx, "grading", _GRADING.read_text("utf-8")))
    await note_tokenizer(store)
    collector = CollectorServiceStub(client.connect(settings.collector_address))
    readers = Readers()
    analysis, feed = Analysis(policies, readers), Feed(store)
    consumer = Consumer(
        store,
        POSTS_CONSUMER,
        watch=lambda cursor: collector.WatchPosts(
            WatchPostsRequest(cursor=cursor, kinds=_KINDS), metadata=client.metadata(signer.own_token())
        ),
        apply=analysis.apply,
        relist=Listing(store, analysis, collector, signer).relist,
        rolled_back=analysis.forget,
    )
    trainings = Trainings(store, most_bytes=settings.training_bytes, most_rows=settings.training_rows)
    await trainings.operations.recover()
    server = Server(
        "analyzer",
        settings,
        [
            Service(
                analyzer_service_pb2.DESCRIPTOR.services_by_name["AnalyzerService"],
                add_AnalyzerServiceServicer_to_server,
                AnalyzerServicer(store, feed, policies, trainings, readers),
            )
        ],
    )
    dispatcher = Dispatcher(store, Holds(collector, signer).handlers)
    indexing = Indexing(store)
    await indexing.prepare()
    forgetting = Forgetting(store, feed, analysis, indexing, settings.feed_days)
    await server.run(
        {
            "posts": consumer.run,
            "outbox": dispatcher.run,
            "forgetting": forgetting.run,
            "search": indexing.run,
            "regrading": Regrading(store, policies).run,
            "rereading": Rereading(store, readers).run,
            "trainings": trainings.run,
        },
        store,
    )


def _rebuild(settings: AnalyzerSettings, arguments: list[str]) -> None:
    asyncio.run(rebuild(AnalyzerStore(settings.database_url)))


if __name__ == "__main__":
    process.main(
        "analyzer",
        AnalyzerSettings,
        serve,
        lambda settings: migrate(settings.database_url, MIGRATIONS),
        {"rebuild": _rebuild},
    )
