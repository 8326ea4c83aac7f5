"""The embedded `offline` model: a deterministic dialogue policy in Hebrew and English.

A turn goes through four steps, one module each: ``understanding`` (what was said, given what was
asked), ``state`` (where the call stands, read off the history), ``policy`` (what to do about it)
and ``wording`` (how to say it). Phrases are data: the YAML files beside the code.
"""

from callbot.models.offline.model import OfflineModel

__all__ = ["OfflineModel"]
