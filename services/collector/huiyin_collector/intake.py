"""What happens to a post before its first write: numbers are masked, the author becomes a voice and is dropped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from huiyin_chassis.masking import mask_texts

from huiyin_collector.model.posts import Draft, MaskedPost, derived_external_id, digest
from huiyin_collector.voices import VoiceKeys


class Intake:
    """Turns drafts into what may be written. Safe to call from any thread."""

    def __init__(self, voices: VoiceKeys) -> None:
        self._voices = voices

    def mask(self, source: str, drafts: Sequence[Draft], collected: datetime) -> list[MaskedPost]:
        """The drafts of a source, masked, in their order; nothing of them may be written but what this returns."""
        subjects = mask_texts(draft.subject for draft in drafts)
        texts = mask_texts(draft.text for draft in drafts)
        voices = self._voices.voices(source, [draft.author for draft in drafts], collected)
        posts = []
        for draft, subject, text, voice in zip(drafts, subjects, texts, voices, strict=True):
            content = digest(subject, text)
            posts.append(
                MaskedPost(
                    draft.external_id or derived_external_id(draft.publish_time, content),
                    subject,
                    text,
                    content,
                    draft.publish_time or collected,
                    collected,
                    draft.uri,
                    draft.reach,
                    draft.drill,
                    voice,
                    draft.location,
                )
            )
        return posts
