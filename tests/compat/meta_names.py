"""Which test compares the values of each name of Meta's interface with the reference's; all signatures are compared
by test_meta_signatures.py. scripts/interface_table.py makes docs/interfaces.md of it."""

from __future__ import annotations

NOT_OFFERED: dict[str, tuple[str, ...]] = {
    "modeling.tiny_vit_sam": (
        "Attention",
        "BasicLayer",
        "Conv2d_BN",
        "ConvLayer",
        "DropPath",
        "MBConv",
        "Mlp",
        "PatchEmbed",
        "PatchMerging",
        "TinyViTBlock",
        "register_tiny_vit_model",
    ),
}
"""Inner layers of TinyViT, which are built another way here (mobilesam/nn/tiny_vit.py)."""
