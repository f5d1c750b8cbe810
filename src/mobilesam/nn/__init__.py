"""The networks in PyTorch: readable enough to learn SAM from, with upstream's state-dict keys.

Read in this order: `tiny_vit` (photo -> embedding), `prompt_encoder` (clicks, boxes, masks -> tokens),
`transformer` and `mask_decoder` (tokens + embedding -> masks), `sam` (the three together), `checkpoint`.
Imports torch and nothing of the package but `errors` and `types`.
"""
