"""Everything mode: the masks of all objects of a photo, on any backend, without torch.

| room | holds |
|---|---|
| config | what can be asked for: Meta's arguments and ours |
| candidate | one mask on its way |
| clicks | clicks -> candidates that passed the filters |
| look | the cheap first look that chooses the clicks of quality="fast" |
| suppress | duplicates, overlaps, parents |
| clean | holes and specks |
| procedure | these in order, for one photo |
| tiles | pictures too large for one look |
"""

from .candidate import Candidate
from .config import OVERLAPS, QUALITIES, EverythingConfig, Overlap, Quality
from .procedure import Progress, found, segment
from .tiles import segment_tiles

__all__ = [
    "OVERLAPS",
    "QUALITIES",
    "Candidate",
    "EverythingConfig",
    "Overlap",
    "Progress",
    "Quality",
    "found",
    "segment",
    "segment_tiles",
]
