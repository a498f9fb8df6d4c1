"""Records which engine cuts words, so that a change of it is seen."""

from __future__ import annotations

import structlog
from huiyin_chassis.store import Tx
from sqlalchemy import delete, insert, select

from huiyin_analyzer.model.words import TOKENIZER
from huiyin_analyzer.store import TOKENIZERS, AnalyzerStore

log = structlog.get_logger(__name__)


async def note_tokenizer(store: AnalyzerStore, name: str = TOKENIZER) -> str:
    """Notes the engine of this process; returns that of before, "" where there was none.

    Another engine is no fault: which post belongs to which event stays as it is, what is compared is cut anew at each
    start, and the search index knows no words. But the posts from now on join by other words in a few cases, and
    so would those of before: who wants all of them by one engine rebuilds.
    """

    def note(tx: Tx) -> str:
        before = tx.execute(select(TOKENIZERS.c.name)).scalar() or ""
        if before != name:
            tx.execute(delete(TOKENIZERS))
            tx.execute(insert(TOKENIZERS), {"id": 1, "name": name})
        return before

    before = await store.write(note)
    if before not in ("", name):
        remedy = "python -m huiyin_analyzer rebuild reads all posts by this one"
        log.warning("analysis.tokenizer_changed", before=before, now=name, remedy=remedy)
    return before
