"""Wires casework together: python -m huiyin_casework [serve|migrate]."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from huiyin.analyzer.v1.analyzer_service_pb2_grpc import AnalyzerServiceStub
from huiyin.analyzer.v1.event_pb2 import WatchEventsRequest
from huiyin.casework.v1 import casework_service_pb2
from huiyin.casework.v1.casework_service_pb2_grpc import add_CaseworkServiceServicer_to_server
from huiyin.collector.v1.collector_service_pb2_grpc import CollectorServiceStub
from huiyin_chassis import client, process
from huiyin_chassis.backoff import Backoff
from huiyin_chassis.consumer import Consumer
from huiyin_chassis.feed import Feed
from huiyin_chassis.identity import Signer
from huiyin_chassis.migrate import migrate
from huiyin_chassis.outbox import Dispatcher
from huiyin_chassis.policies import Policies
from huiyin_chassis.server import Server, Service, Worker
from huiyin_chassis.store import Tx

from huiyin_casework import offices
from huiyin_casework.casefile import ANSWER_PARTNER
from huiyin_casework.cleaning import Cleaning
from huiyin_casework.config import CaseworkSettings
from huiyin_casework.partners import CallbackRules
from huiyin_casework.pastanswers import AnswerSearch
from huiyin_casework.rules import Rules
from huiyin_casework.secrets import Secrets
from huiyin_casework.service import CaseworkServicer
from huiyin_casework.service.attachments import Attaching
from huiyin_casework.service.policies import CHECKS
from huiyin_casework.store import MIGRATIONS, CaseworkStore
from huiyin_casework.worker.answering import Answering, Poster
from huiyin_casework.worker.following import Following
from huiyin_casework.worker.forgetting import Forgetting
from huiyin_casework.worker.indexing import Indexing
from huiyin_casework.worker.keeping_time import KeepingTime
from huiyin_casework.worker.listing import Listing
from huiyin_casework.worker.sending import Sending

_POSTED_AT_ONCE = 16
_LONGEST_PAUSE = 3600.0
_DATA = Path(__file__).parent / "data"


async def wire(settings: CaseworkSettings) -> tuple[Server, dict[str, Worker], CaseworkStore]:
    """The server, its background loops and its open store."""
    store = CaseworkStore(settings.database_url)
    await store.open()
    policies = Policies(CHECKS)

    def seed(tx: Tx) -> None:
        for kind in CHECKS:
            policies.seed(tx, kind, (_DATA / f"{kind}.yaml").read_text("utf-8"))
        offices.seed(tx)

    await store.write(seed)
    signer = Signer("casework", settings.key_file)
    collector = CollectorServiceStub(client.connect(settings.collector_address))
    analyzer = AnalyzerServiceStub(client.connect(settings.analyzer_address))
    feed, rules, answers = Feed(store), Rules(policies), AnswerSearch()
    following = Following(rules)
    consumer = Consumer(
        store,
        "analyzer.events",
        watch=lambda cursor: analyzer.WatchEvents(
            WatchEventsRequest(cursor=cursor), metadata=client.metadata(signer.own_token())
        ),
        apply=following.apply,
        relist=Listing(store, following, analyzer, signer).relist,
    )
    secrets = Secrets(settings.secrets)
    callbacks = CallbackRules(plain_http=settings.allow_plain_http, private=settings.allow_private_receivers)
    attaching = Attaching(Cleaning(), most_bytes=settings.attachment_bytes, most_files=settings.attachments)
    service = Service(
        casework_service_pb2.DESCRIPTOR.services_by_name["CaseworkService"],
        add_CaseworkServiceServicer_to_server,
        CaseworkServicer(store, feed, policies, rules, secrets, answers, attaching, callbacks),
    )
    answering = Answering(
        store,
        rules,
        secrets,
        Poster(callbacks, timeout=settings.callback_timeout),
        give_up_after=timedelta(hours=settings.callback_hours),
    )
    forgetting = Forgetting(
        store, feed, rules, following, feed_days=settings.feed_days, answer_days=settings.answer_days
    )
    workers: dict[str, Worker] = {
        "events": consumer.run,
        "outbox": Dispatcher(store, Sending(collector, analyzer, signer).handlers).run,
        "partners": Dispatcher(
            store,
            {ANSWER_PARTNER: answering.answer},
            batch_size=_POSTED_AT_ONCE,
            backoff=Backoff(settings.callback_first_pause, _LONGEST_PAUSE),
        ).run,
        "clocks": KeepingTime(store, rules).run,
        "forgetting": forgetting.run,
        "answers": Indexing(store, answers).run,
    }
    return Server("casework", settings, [service]), workers, store


async def serve(settings: CaseworkSettings) -> None:
    """Serves until it is told to stop."""
    server, workers, store = await wire(settings)
    await server.run(workers, store)


if __name__ == "__main__":
    process.main("casework", CaseworkSettings, serve, lambda settings: migrate(settings.database_url, MIGRATIONS))
