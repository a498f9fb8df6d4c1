"""Wires the notifier: `python -m huiyin_notifier [serve|migrate]`."""

from __future__ import annotations

from datetime import timedelta

from huiyin.casework.v1 import casework_service_pb2_grpc
from huiyin.collector.v1 import collector_service_pb2_grpc
from huiyin.notifier.v1 import notifier_service_pb2, notifier_service_pb2_grpc
from huiyin_chassis import client, process
from huiyin_chassis.feed import Feed
from huiyin_chassis.identity import Signer
from huiyin_chassis.migrate import migrate
from huiyin_chassis.server import Server, Service

from huiyin_notifier.config import NotifierSettings
from huiyin_notifier.service import NotifierServicer
from huiyin_notifier.store import MIGRATIONS, NotifierStore
from huiyin_notifier.worker.channels import Webhook
from huiyin_notifier.worker.following import follow_casework, follow_collector
from huiyin_notifier.worker.forgetting import Forgetting
from huiyin_notifier.worker.sending import Sender


async def serve(settings: NotifierSettings) -> None:
    """Runs until told to stop."""
    signer = Signer("notifier", settings.key_file)
    store = NotifierStore(settings.database_url, allow_private=settings.allow_private_receivers)
    await store.open()
    await store.write(store.seed)
    feed = Feed(store)
    service = Service(
        notifier_service_pb2.DESCRIPTOR.services_by_name["NotifierService"],
        notifier_service_pb2_grpc.add_NotifierServiceServicer_to_server,
        NotifierServicer(store, feed),
    )
    webhook = Webhook(timeout=settings.send_timeout, allow_private=settings.allow_private_receivers)
    sender = Sender(store, webhook, attempts=settings.send_attempts, first_pause=settings.send_first_pause)
    forgetting = Forgetting(store, feed, timedelta(days=settings.keep_days))
    async with (
        client.connect(settings.casework_address) as casework,
        client.connect(settings.collector_address) as collector,
    ):
        cases = follow_casework(store, casework_service_pb2_grpc.CaseworkServiceStub(casework), signer)
        sources = follow_collector(store, collector_service_pb2_grpc.CollectorServiceStub(collector), signer)
        workers = {
            "casework": cases.consumer.run,
            "collector": sources.consumer.run,
            "sending": sender.run,
            "forgetting": forgetting.run,
        }
        await Server("notifier", settings, [service]).run(workers, store)


if __name__ == "__main__":
    process.main("notifier", NotifierSettings, serve, lambda settings: migrate(settings.database_url, MIGRATIONS))
