"""Small layers."""

from __future__ import annotations

from torch import Tensor, nn

from ....nn import layers


class MLPBlock(layers.MlpBlock):
    """Two linear layers with an activation between."""

    def __init__(self, embedding_dim: int, mlp_dim: int, act: type[nn.Module] = nn.GELU) -> None:
        super().__init__(embedding_dim, mlp_dim, act)


class LayerNorm2d(layers.LayerNorm2d):
    """LayerNorm over the channels of a map (B, C, H, W)."""

    def __init__(self, num_channels: int, eps: float = 1e-6) -> None:
        super().__init__(num_channels, eps)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)
