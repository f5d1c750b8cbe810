"""The REST service as a Ray Serve deployment, whose replicas become more with the load.

`serve run mobilesam.scale.ray_serve:build` serves it, `serve deploy examples/ray-serve.yaml` keeps it on a cluster.

Each replica has its own embeddings: a request that names one which another replica made gets 404, and
clients embed again, as they do after an hour. A request with the picture itself is answered by any. Clicks aren't put
into batches: the decoder answers several prompts about one picture at a time, and users click in different ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._optional import require
from ..model import SAM

if TYPE_CHECKING:
    from fastapi import FastAPI

ONGOING = 8
"""Requests under way at which a replica counts as busy, and another is started."""


def build(args: Mapping[str, Any]) -> Any:
    """The Serve application. `args`, all of them optional:

    `sam`, arguments of `SAM`; `server`, those of `ServerConfig`; `replicas`, [least, most], (1, 4); `cpus` of each
    replica, which are also the model's threads, 1; `ongoing`, requests under way at which another is started.

    Raises MissingDependencyError.
    """
    serve: Any = require("ray.serve", "scale", "A Ray Serve deployment")
    cpus = int(args.get("cpus", 1))
    model = {"threads": cpus, **args.get("sam", {})}
    server = dict(args.get("server", {}))

    def application() -> FastAPI:
        """In a replica."""
        from mobilesam.server import ServerConfig, create_app  # noqa: PLC0415  # on the machine that serves

        return create_app(SAM(**model), ServerConfig.of(**server))

    least, most = args.get("replicas", (1, 4))
    ongoing = args.get("ongoing", ONGOING)
    deployment = serve.deployment(
        name="mobilesam",
        ray_actor_options={"num_cpus": cpus},
        max_ongoing_requests=8 * ongoing,
        autoscaling_config={"min_replicas": least, "max_replicas": most, "target_ongoing_requests": ongoing},
    )
    return deployment(serve.ingress(application)()).bind()
