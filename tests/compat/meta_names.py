"""Which test compares each name of Meta's interface with the reference packages, beside its signature, which
test_meta_signatures.py compares. docs/interfaces.md is made of it by scripts/interface_table.py."""

from __future__ import annotations

_VALUES = "test_meta_values.py::"
_AMG = "test_meta_amg.py::"
_MODELS = "test_meta_models.py::"
_QUIRKS = "test_meta_quirks.py::"

TESTS: dict[str, str] = {
    "build_sam": _MODELS + "test_metas_interface_gives_the_references_embedding_and_masks",
    "predictor": _AMG + "test_predict",
    "predictor.SamPredictor.predict_torch": _AMG + "test_predict_torch_and_set_torch_image",
    "predictor.SamPredictor.set_torch_image": _AMG + "test_predict_torch_and_set_torch_image",
    "predictor.SamPredictor.device": _QUIRKS + "test_the_device_is_where_the_model_is_now",
    "predictor.SamPredictor.reset_image": _QUIRKS + "test_reset_keeps_the_sizes",
    "automatic_mask_generator": _AMG + "test_generate",
    "automatic_mask_generator.SamAutomaticMaskGenerator.postprocess_small_regions": _AMG
    + "test_small_regions_of_all_masks",
    "modeling.common": _VALUES + "test_modules",
    "modeling.transformer": _VALUES + "test_modules",
    "modeling.mask_decoder.MLP": _VALUES + "test_modules",
    "modeling.mask_decoder.MaskDecoder": _VALUES + "test_prompt_encoder_and_mask_decoder",
    "modeling.prompt_encoder.PromptEncoder": _VALUES + "test_prompt_encoder_and_mask_decoder",
    "modeling.prompt_encoder.PositionEmbeddingRandom": _VALUES + "test_position_embedding",
    "modeling.sam": _VALUES + "test_sam_from_photos_to_masks",
    "modeling.image_encoder": _VALUES + "test_modules",
    "modeling.image_encoder.window_partition": _VALUES + "test_windows",
    "modeling.image_encoder.window_unpartition": _VALUES + "test_windows",
    "modeling.image_encoder.get_rel_pos": _VALUES + "test_relative_positions",
    "modeling.image_encoder.add_decomposed_rel_pos": _VALUES + "test_relative_positions",
    "modeling.tiny_vit_sam": _VALUES + "test_tiny_vits",
    "modeling.tiny_vit_sam.LayerNorm2d": _VALUES + "test_modules",
    "modeling.tiny_vit_sam.TinyViT.forward": _MODELS + "test_metas_interface_gives_the_references_embedding_and_masks",
    "modeling.tiny_vit_sam.TinyViT.forward_features": _MODELS
    + "test_metas_interface_gives_the_references_embedding_and_masks",
    "utils.onnx": _VALUES + "test_onnx_model",
    "utils.transforms": _VALUES + "test_resize_longest_side",
    "utils.amg.MaskData": _AMG + "test_mask_data",
    "utils.amg.is_box_near_crop_edge": _AMG + "test_uncropping",
    "utils.amg.box_xyxy_to_xywh": _AMG + "test_uncropping",
    "utils.amg.batch_iterator": _AMG + "test_batches",
    "utils.amg.mask_to_rle_pytorch": _AMG + "test_run_lengths_boxes_and_areas",
    "utils.amg.rle_to_mask": _AMG + "test_run_lengths_boxes_and_areas",
    "utils.amg.area_from_rle": _AMG + "test_run_lengths_boxes_and_areas",
    "utils.amg.coco_encode_rle": _AMG + "test_run_lengths_boxes_and_areas",
    "utils.amg.batched_mask_to_box": _AMG + "test_run_lengths_boxes_and_areas",
    "utils.amg.calculate_stability_score": _AMG + "test_stability_with_nothing_in_it",
    "utils.amg.build_point_grid": _AMG + "test_grids",
    "utils.amg.build_all_layer_point_grids": _AMG + "test_grids",
    "utils.amg.generate_crop_boxes": _AMG + "test_crops",
    "utils.amg.uncrop_boxes_xyxy": _AMG + "test_uncropping",
    "utils.amg.uncrop_points": _AMG + "test_uncropping",
    "utils.amg.uncrop_masks": _AMG + "test_uncropping",
    "utils.amg.remove_small_regions": _AMG + "test_small_regions",
}
"""Module, class or function -> its test; a longer name goes before the one that it begins with."""

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


def covered_by(name: str) -> str:
    """The test of a dotted name such as "utils.amg.MaskData.cat"."""
    while name not in TESTS:
        name = name.rpartition(".")[0]
    return TESTS[name]
