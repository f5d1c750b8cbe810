"""SAM's two-way transformer: prompt tokens look at the image, the image looks back (paper, appendix A)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .layers import MlpBlock


class Attention(nn.Module):
    """Multi-head attention whose inner width may be smaller than that of its inputs.

    `k` and `v` may have a batch of 1 and stand for every prompt: nothing is copied, which makes the
    first layer's image side one computation for all prompts of a photo. `absent_bn`, if given, is added to the
    scores of the keys: a large negative number where a key isn't there.
    """

    def __init__(self, dim: int, heads: int, downsample: int = 1) -> None:
        super().__init__()
        self.heads = heads
        inner = dim // downsample
        self.q_proj = nn.Linear(dim, inner)
        self.k_proj = nn.Linear(dim, inner)
        self.v_proj = nn.Linear(dim, inner)
        self.out_proj = nn.Linear(inner, dim)

    def forward(self, q_bnc: Tensor, k_bnc: Tensor, v_bnc: Tensor, *absent_bn: Tensor) -> Tensor:
        q = self._split(self.q_proj(q_bnc))
        k = self._split(self.k_proj(k_bnc))
        v = self._split(self.v_proj(v_bnc))
        scores = q @ k.transpose(-2, -1) * (q.shape[-1] ** -0.5)
        for absent in absent_bn:
            scores = scores + absent[:, None, None]
        mixed_bhnc = torch.softmax(scores, dim=-1) @ v
        out: Tensor = self.out_proj(mixed_bhnc.transpose(1, 2).flatten(2))
        return out

    def _split(self, x_bnc: Tensor) -> Tensor:
        batch, cells, dim = x_bnc.shape
        return x_bnc.reshape(batch, cells, self.heads, dim // self.heads).transpose(1, 2)


class TokenToImageAttention(Attention):
    """The same attention, regrouped for a few queries on many keys.

    With keys K W_k + b_k, the scores of a query q are q (K W_k + b_k)^T = (q W_k^T) K^T + q b_k^T. The last
    term is the same for all keys and drops out of the softmax. Since the weights a of a softmax sum to
    one, a (V W_v + b_v) = (a V) W_v + b_v. So the image's 4096 rows meet the few tokens of each head as they
    are, and are projected neither as keys nor as values: for 7 tokens less than half the arithmetic.
    """

    def forward(self, q_bnc: Tensor, k_bnc: Tensor, v_bnc: Tensor, *absent_bn: Tensor) -> Tensor:
        q = self._split(self.q_proj(q_bnc))
        batch, heads, tokens, width = q.shape
        dim = k_bnc.shape[-1]
        key_weight_hdc = self.k_proj.weight.reshape(heads, width, dim)
        value_weight_hcd = self.v_proj.weight.reshape(heads, width, dim).transpose(1, 2)
        q_in_image_space = ((q * width**-0.5) @ key_weight_hdc).reshape(batch, heads * tokens, dim)
        scores = q_in_image_space @ k_bnc.transpose(1, 2)
        for absent in absent_bn:
            scores = scores + absent[:, None]
        # The softmax by hand, its division last, on few rows: OpenVINO would fuse a Softmax between two
        # products into one operator that takes twice as long here.
        weights = torch.exp(scores - scores.amax(dim=-1, keepdim=True))
        seen_bnc = (weights @ v_bnc) / weights.sum(dim=-1, keepdim=True)
        mixed_bhnd = seen_bnc.reshape(batch, heads, tokens, dim) @ value_weight_hcd
        mixed = mixed_bhnd.transpose(1, 2).reshape(batch, tokens, heads * width) + self.v_proj.bias
        out: Tensor = self.out_proj(mixed)
        return out


class ImageToTokenAttention(Attention):
    """The same attention, regrouped for many queries on a few keys.

    The scores of the image's rows Q are (Q W_q + b_q) k^T = Q (k W_q^T)^T + (k b_q^T)^T, and what they get is
    (a v) W_o = a (v W_o) for each head. So the weights meet the few tokens, and the image's rows only the
    products. Scores lie with the tokens as rows, so that heads and tokens are one axis without a copy.
    """

    def forward(self, q_bnc: Tensor, k_bnc: Tensor, v_bnc: Tensor, *absent_bn: Tensor) -> Tensor:
        k, v = self._split(self.k_proj(k_bnc)), self._split(self.v_proj(v_bnc))
        batch, heads, tokens, width = k.shape
        dim = q_bnc.shape[-1]
        k = k * width**-0.5
        k_in_image_space = (k @ self.q_proj.weight.reshape(heads, width, dim)).reshape(batch, heads * tokens, dim)
        offset = (k @ self.q_proj.bias.reshape(heads, width, 1)).reshape(batch, heads * tokens, 1)
        scores = (k_in_image_space @ q_bnc.transpose(1, 2) + offset).reshape(batch, heads, tokens, -1)
        for absent in absent_bn:
            scores = scores + absent[:, None, :, None]
        weights = torch.softmax(scores, dim=2).reshape(batch, heads * tokens, -1)
        v_in_image_space = v @ self.out_proj.weight.transpose(0, 1).reshape(heads, width, dim)
        mixed = weights.transpose(1, 2) @ v_in_image_space.reshape(batch, heads * tokens, dim)
        return mixed + self.out_proj.bias


class TwoWayBlock(nn.Module):
    """Tokens among themselves, tokens to image, MLP on tokens, image to tokens."""

    def __init__(self, dim: int, heads: int, mlp_dim: int, is_first: bool) -> None:
        super().__init__()
        self.is_first = is_first
        self.self_attn = Attention(dim, heads)
        self.norm1 = nn.LayerNorm(dim)
        self.cross_attn_token_to_image: Attention = TokenToImageAttention(dim, heads, downsample=2)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MlpBlock(dim, mlp_dim)
        self.norm3 = nn.LayerNorm(dim)
        self.norm4 = nn.LayerNorm(dim)
        self.cross_attn_image_to_token: Attention = ImageToTokenAttention(dim, heads, downsample=2)

    def forward(
        self,
        tokens_bnc: Tensor,
        image_bnc: Tensor,
        token_pe: Tensor,
        image_pe: Tensor,
        *absent_bn: Tensor,
    ) -> tuple[Tensor, Tensor]:
        tokens = tokens_bnc
        if self.is_first:  # the tokens are their own position here, and no residual is taken
            tokens = self.self_attn(tokens, tokens, tokens, *absent_bn)
        else:
            q = tokens + token_pe
            tokens = tokens + self.self_attn(q, q, tokens, *absent_bn)
        tokens = self.norm1(tokens)

        keys = image_bnc + image_pe
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + token_pe, keys, image_bnc))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = self.norm4(image_bnc + self.cross_attn_image_to_token(keys, tokens + token_pe, tokens, *absent_bn))
        return tokens, image


class TwoWayTransformer(nn.Module):
    """`depth` two-way blocks and a last look of the tokens at the image."""

    def __init__(self, depth: int = 2, dim: int = 256, heads: int = 8, mlp_dim: int = 2048) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayBlock(dim, heads, mlp_dim, is_first=i == 0) for i in range(depth))
        self.final_attn_token_to_image: Attention = TokenToImageAttention(dim, heads, downsample=2)
        self.norm_final_attn = nn.LayerNorm(dim)

    def forward(
        self,
        image_bchw: Tensor,
        image_pe_nc: Tensor,
        tokens_bnc: Tensor,
        answers: int,
        *absent_bn: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Image map (B or 1, C, H, W), its positions (H*W, C), tokens (B, N, C) -> tokens, image (B, H*W, C).

        Only the first `answers` tokens take the last look and come back: the prompt's own are not read. Nothing
        looks at a token where `absent_bn` is a large negative number.
        """
        image = image_bchw.flatten(2).transpose(1, 2)
        tokens = tokens_bnc
        for layer in self.layers:
            tokens, image = layer(tokens, image, tokens_bnc, image_pe_nc, *absent_bn)
        tokens = tokens[:, :answers]
        attended = self.final_attn_token_to_image(tokens + tokens_bnc[:, :answers], image + image_pe_nc, image)
        return self.norm_final_attn(tokens + attended), image
