"""Many pictures: one job over folders, shards and videos, by several processes or machines, that can be killed.

| file | holds |
|---|---|
| run | `batch`, which puts the others together |
| entries, prompts | which pictures; which boxes belong to which |
| job | what is done with one chunk of pictures |
| output | a result as a file, or as rows of a parquet file |
| journal | which chunks are whole, so that a killed run goes on |
| local, ray_job | who works: processes of this machine, or actors of a Ray cluster |
| ray_serve | the REST service as a Ray Serve deployment |

docs/batch.md tells how it is used.
"""

from __future__ import annotations

from .run import Summary, batch

__all__ = ["Summary", "batch"]
