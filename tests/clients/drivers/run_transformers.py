"""transformers' SamModel with our weights under its names: its decoder, and its mask generation on our encoder."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from PIL import Image
from standins import stand_in_torchvision
from transformers import SamConfig, SamMaskDecoderConfig, SamModel, SamVisionConfig
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

from mobilesam.nn.tiny_vit import TinyVit

work = Path(sys.argv[1])
request = json.loads((work / "request.json").read_text())
state = torch.load(request["checkpoint"], map_location="cpu", weights_only=True)

NAMES = {  # Meta's -> transformers', for the prompt encoder and the mask decoder
    r"pe_layer\.positional_encoding_gaussian_matrix": "shared_embedding.positional_embedding",
    r"point_embeddings": "point_embed",
    r"mask_downscaling\.0": "mask_embed.conv1",
    r"mask_downscaling\.1": "mask_embed.layer_norm1",
    r"mask_downscaling\.3": "mask_embed.conv2",
    r"mask_downscaling\.4": "mask_embed.layer_norm2",
    r"mask_downscaling\.6": "mask_embed.conv3",
    r"output_upscaling\.0": "upscale_conv1",
    r"output_upscaling\.1": "upscale_layer_norm",
    r"output_upscaling\.3": "upscale_conv2",
    r"(iou_prediction_head|output_hypernetworks_mlps\.\d)\.layers\.0": r"\1.proj_in",
    r"(iou_prediction_head|output_hypernetworks_mlps\.\d)\.layers\.2": r"\1.proj_out",
    r"(iou_prediction_head|output_hypernetworks_mlps\.\d)\.layers\.1": r"\1.layers.0",
    r"\bnorm(\d)\.": r"layer_norm\1.",
    r"norm_final_attn": "layer_norm_final_attn",
}


def renamed(key: str) -> str:
    for pattern, name in NAMES.items():
        key = re.sub(pattern, name, key)
    return key


class Encoder(torch.nn.Module):
    """Our TinyViT where SamModel expects its own vision encoder."""

    def __init__(self, encoder: TinyVit) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, pixel_values, **_):
        return BaseModelOutput(last_hidden_state=self.encoder(pixel_values))


def build() -> SamModel:
    vision = SamVisionConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, mlp_dim=32, output_channels=256
    )
    # Meta's transformer normalises with eps 1e-5; transformers' default of 1e-6 moves logits by 0.03.
    decoder = SamMaskDecoderConfig(layer_norm_eps=1e-5)
    model = SamModel(SamConfig(vision_config=vision, mask_decoder_config=decoder)).eval()
    encoder = TinyVit()
    encoder.load_state_dict(
        {k.removeprefix("image_encoder."): v for k, v in state.items() if k.startswith("image_encoder.")}
    )
    model.vision_encoder = Encoder(encoder.eval())
    ours = {renamed(k): v for k, v in state.items() if not k.startswith("image_encoder.")}
    ours["shared_image_embedding.positional_embedding"] = ours["prompt_encoder.shared_embedding.positional_embedding"]
    left = model.load_state_dict(ours, strict=False)
    assert not left.unexpected_keys, left.unexpected_keys
    assert all(key.startswith("vision_encoder.") for key in left.missing_keys), left.missing_keys
    return model


model = build()
arrays = {}
with np.load(work / "features.npz") as data:
    features = torch.from_numpy(data["features"])
with torch.inference_mode():
    for name, prompt in request["prompts"].items():
        given = {key: torch.tensor(value)[None] for key, value in prompt.items()}
        for multimask in (False, True):
            out = model(**given, image_embeddings=features, multimask_output=multimask)
            arrays[f"{name}.{multimask}"] = out.pred_masks[0].numpy()
            arrays[f"{name}.{multimask}.iou"] = out.iou_scores[0].numpy()


class Processor(SamImageProcessorPil):
    """Without the question whether torchvision is installed: of it, only `batched_nms` is called."""

    post_process_for_mask_generation = SamImageProcessorPil.post_process_for_mask_generation.__wrapped__


stand_in_torchvision()
generate = transformers.pipeline("mask-generation", model=model, image_processor=Processor(), device="cpu")
found = generate(Image.open(request["photo"]).convert("RGB"), points_per_crop=request["points_per_side"])
arrays["everything"] = np.stack([np.asarray(mask, bool) for mask in found["masks"]])
arrays["everything_scores"] = np.asarray(found["scores"])
np.savez(work / "arrays.npz", **arrays)
print(json.dumps({"version": transformers.__version__}))
