"""The two-way transformer.

With plain attentions, not the regrouped ones of `mobilesam.nn`: programs wrap and replace the projections
(LoRA), and the regrouped ones read their weights without calling them.
"""

from __future__ import annotations

from torch import Tensor, nn

from ....nn import transformer
from .common import MLPBlock


class Attention(transformer.Attention):
    """Multi-head attention whose inner width may be smaller than that of its inputs (B, N, C)."""

    def __init__(self, embedding_dim: int, num_heads: int, downsample_rate: int = 1) -> None:
        super().__init__(embedding_dim, num_heads, downsample_rate)
        self.embedding_dim = embedding_dim
        self.internal_dim = embedding_dim // downsample_rate
        self.num_heads = num_heads
        assert self.internal_dim % num_heads == 0, "num_heads must divide embedding_dim."

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:  # type: ignore[override]  # Meta's signature
        return super().forward(q, k, v)


class TwoWayAttentionBlock(transformer.TwoWayBlock):
    """Tokens among themselves, tokens to image, MLP on tokens, image to tokens."""

    def __init__(
        self,
        embedding_dim: int,
        num_heads: int,
        mlp_dim: int = 2048,
        activation: type[nn.Module] = nn.ReLU,
        attention_downsample_rate: int = 2,
        skip_first_layer_pe: bool = False,
    ) -> None:
        super().__init__(embedding_dim, num_heads, mlp_dim, skip_first_layer_pe)
        self.skip_first_layer_pe = skip_first_layer_pe
        self.self_attn = Attention(embedding_dim, num_heads)
        self.cross_attn_token_to_image = Attention(embedding_dim, num_heads, attention_downsample_rate)
        self.cross_attn_image_to_token = Attention(embedding_dim, num_heads, attention_downsample_rate)
        self.mlp = MLPBlock(embedding_dim, mlp_dim, activation)

    def forward(  # type: ignore[override]  # Meta's signature
        self, queries: Tensor, keys: Tensor, query_pe: Tensor, key_pe: Tensor
    ) -> tuple[Tensor, Tensor]:
        return super().forward(queries, keys, query_pe, key_pe)


class TwoWayTransformer(transformer.TwoWayTransformer):
    """`depth` two-way blocks and a last look of the tokens at the image."""

    def __init__(
        self,
        depth: int,
        embedding_dim: int,
        num_heads: int,
        mlp_dim: int,
        activation: type[nn.Module] = nn.ReLU,
        attention_downsample_rate: int = 2,
    ) -> None:
        super().__init__(0, embedding_dim, num_heads, mlp_dim)
        self.depth = depth
        self.embedding_dim = embedding_dim
        self.num_heads = num_heads
        self.mlp_dim = mlp_dim
        self.layers = nn.ModuleList(
            TwoWayAttentionBlock(
                embedding_dim, num_heads, mlp_dim, activation, attention_downsample_rate, skip_first_layer_pe=i == 0
            )
            for i in range(depth)
        )
        self.final_attn_token_to_image = Attention(embedding_dim, num_heads, attention_downsample_rate)

    def forward(  # type: ignore[override]  # all tokens come back
        self, image_embedding: Tensor, image_pe: Tensor, point_embedding: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Image and its positions (B, C, H, W), tokens (B, N, C) -> tokens (B, N, C), image (B, H*W, C)."""
        positions = image_pe.flatten(2).transpose(1, 2)
        return super().forward(image_embedding, positions, point_embedding, point_embedding.shape[1])
