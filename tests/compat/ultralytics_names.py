"""Every public name of Ultralytics' SAM interface that we have -> the test that covers it, under tests/compat."""

from __future__ import annotations

_PREDICT = "test_ultralytics_predict.py::"
_RESULTS = "test_ultralytics_results.py::"
_MODEL = "test_ultralytics_model.py::"
_OUTPUT = "test_ultralytics_output.py::"
_ANNOTATE = "test_ultralytics_annotate.py::"

NAMES: dict[str, str] = {
    "SAM": _MODEL + "test_the_examples_of_ultralytics_page",
    "SAM.__call__": _PREDICT + "test_what_each_nesting_means",
    "SAM.predict": _PREDICT + "test_what_each_nesting_means",
    "SAM.info": _MODEL + "test_info_counts_what_the_checkpoint_holds",
    "SAM.to": _MODEL + "test_a_model_moves",
    "SAM.task_map": _MODEL + "test_the_examples_of_ultralytics_page",
    "SAM.predictor": _MODEL + "test_the_examples_of_ultralytics_page",
    "SAM.overrides": _PREDICT + "test_overrides_serve_every_call",
    "SAM.train": _MODEL + "test_training_says_who_does_it",
    "SAM.val": _MODEL + "test_val_is_the_native_one",
    "SAM.export": _MODEL + "test_export_says_where_its_files_are",
    "predict(source=)": _PREDICT + "test_every_source_has_its_colours_right",
    "predict(stream=)": _PREDICT + "test_videos_and_strides",
    "predict(points=)": _PREDICT + "test_what_each_nesting_means",
    "predict(labels=)": _PREDICT + "test_what_each_nesting_means",
    "predict(bboxes=)": _PREDICT + "test_what_each_nesting_means",
    "predict(masks=)": _PREDICT + "test_masks_as_prompts",
    "predict(multimask_output=)": _PREDICT + "test_three_masks_a_prompt_all_tell_their_prompt",
    "predict(conf=)": _PREDICT + "test_no_mask_is_dropped_unless_asked",
    "predict(classes=)": _PREDICT + "test_choosing_classes_and_the_best",
    "predict(max_det=)": _PREDICT + "test_choosing_classes_and_the_best",
    "predict(imgsz=)": _PREDICT + "test_arguments_that_are_unknown_or_impossible",
    "predict(device=)": _MODEL + "test_devices",
    "predict(vid_stride=)": _PREDICT + "test_videos_and_strides",
    "predict(allow_urls=)": _PREDICT + "test_addresses_only_when_allowed",
    "predict(verbose=)": _OUTPUT + "test_verbose_prints_a_line_a_photo",
    **{
        f"predict({name}=)": _PREDICT + "test_everything_mode_takes_ultralytics_names"
        for name in (
            "crop_n_layers", "crop_overlap_ratio", "crop_downscale_factor", "point_grids", "points_batch_size",
            "conf_thres", "stability_score_thresh", "stability_score_offset", "crop_nms_thresh", "iou",
            "min_mask_region_area",
        )
    },
    **{
        f"predict({name}=)": _PREDICT + "test_arguments_without_effect"
        for name in (
            "agnostic_nms", "augment", "batch", "half", "mode", "retina_masks", "save_frames", "stream_buffer", "task",
            "visualize",
        )
    },
    "predict(points_stride=)": _PREDICT + "test_everything_mode",
    "predict(save=)": _OUTPUT + "test_pictures_labels_and_crops",
    "predict(save_txt=)": _OUTPUT + "test_pictures_labels_and_crops",
    "predict(save_conf=)": _OUTPUT + "test_pictures_labels_and_crops",
    "predict(save_crop=)": _OUTPUT + "test_pictures_labels_and_crops",
    "predict(project=)": _OUTPUT + "test_own_names_and_used_folders",
    "predict(name=)": _OUTPUT + "test_own_names_and_used_folders",
    "predict(exist_ok=)": _OUTPUT + "test_own_names_and_used_folders",
    "predict(show=)": _OUTPUT + "test_show",
    "predict(show_boxes=)": _OUTPUT + "test_what_is_drawn",
    "predict(show_labels=)": _OUTPUT + "test_what_is_drawn",
    "predict(show_conf=)": _OUTPUT + "test_what_is_drawn",
    "predict(line_width=)": _OUTPUT + "test_what_is_drawn",
    "Predictor": _PREDICT + "test_a_set_image_answers_many_prompts",
    "Predictor.__call__": _PREDICT + "test_a_source_is_embedded_even_where_an_image_is_set",
    "Predictor.set_image": _PREDICT + "test_a_set_image_answers_many_prompts",
    "Predictor.set_prompts": _PREDICT + "test_set_prompts_serve_one_call",
    "Predictor.reset_image": _PREDICT + "test_reset_image_forgets",
    "Predictor.generate": _PREDICT + "test_generate_is_everything_mode",
    "Predictor.inference_features": _PREDICT + "test_features_alone_are_enough",
    "Predictor.features": _PREDICT + "test_features_may_be_replaced",
    "Predictor.im": _PREDICT + "test_a_set_image_answers_many_prompts",
    "Predictor.prompts": _PREDICT + "test_set_prompts_serve_one_call",
    "Predictor.args": _PREDICT + "test_overrides_serve_every_call",
    "Predictor.dataset": _PREDICT + "test_a_source_is_embedded_even_where_an_image_is_set",
    "Predictor.batch": _PREDICT + "test_a_set_image_answers_many_prompts",
    "Predictor.results": _PREDICT + "test_a_set_image_answers_many_prompts",
    "SAMPredictor": _PREDICT + "test_a_set_image_answers_many_prompts",
    "Results": _RESULTS + "test_summary",
    "Results.boxes": _RESULTS + "test_boxes",
    "Results.masks": _RESULTS + "test_masks",
    "Results.orig_img": _PREDICT + "test_every_source_has_its_colours_right",
    "Results.orig_shape": _PREDICT + "test_lists_and_paths",
    "Results.path": _PREDICT + "test_lists_and_paths",
    "Results.names": _PREDICT + "test_what_each_nesting_means",
    "Results.speed": _PREDICT + "test_speed_is_measured",
    "Results.save_dir": _OUTPUT + "test_each_run_has_its_folder",
    "Results.obb": _RESULTS + "test_what_sam_does_not_give",
    "Results.probs": _RESULTS + "test_what_sam_does_not_give",
    "Results.keypoints": _RESULTS + "test_what_sam_does_not_give",
    "Results.__len__": _RESULTS + "test_indexing_keeps_the_axes",
    "Results.__getitem__": _RESULTS + "test_indexing_keeps_the_axes",
    "Results.cpu": _RESULTS + "test_moving",
    "Results.numpy": _RESULTS + "test_moving",
    "Results.cuda": _RESULTS + "test_moving",
    "Results.to": _RESULTS + "test_moving_to_another_type",
    "Results.plot": _RESULTS + "test_plot_is_bgr",
    "Results.plot(conf=)": _RESULTS + "test_plot_writes_labels_above_the_box",
    "Results.plot(line_width=)": _RESULTS + "test_plot_takes_parts",
    "Results.plot(img=)": _RESULTS + "test_plot_takes_parts",
    "Results.plot(labels=)": _RESULTS + "test_plot_writes_labels_above_the_box",
    "Results.plot(boxes=)": _RESULTS + "test_plot_takes_parts",
    "Results.plot(masks=)": _RESULTS + "test_plot_takes_parts",
    "Results.plot(color_mode=)": _RESULTS + "test_plot_colours_by_prompt_or_by_mask",
    "Results.plot(pil=)": _RESULTS + "test_plot_is_bgr",
    "Results.plot(show=)": _RESULTS + "test_plot_shows_saves_and_takes_what_it_cannot_use",
    "Results.plot(save=)": _RESULTS + "test_plot_shows_saves_and_takes_what_it_cannot_use",
    "Results.plot(filename=)": _RESULTS + "test_plot_shows_saves_and_takes_what_it_cannot_use",
    "Results.show": _RESULTS + "test_show",
    "Results.save": _RESULTS + "test_save",
    "Results.save_txt": _RESULTS + "test_save_txt",
    "Results.save_crop": _RESULTS + "test_save_crop",
    "Results.summary": _RESULTS + "test_summary",
    "Results.to_json": _RESULTS + "test_summary",
    "Results.to_csv": _RESULTS + "test_csv",
    "Results.to_df": _RESULTS + "test_data_frames",
    "Results.verbose": _RESULTS + "test_verbose",
    **{
        f"Boxes.{name}": _RESULTS + "test_boxes"
        for name in (
            "data", "xyxy", "xywh", "xyxyn", "xywhn", "conf", "cls", "id", "is_track", "shape", "orig_shape", "__len__",
        )
    },
    **{
        f"Masks.{name}": _RESULTS + "test_masks" for name in ("data", "xy", "xyn", "shape", "orig_shape", "__len__")
    },
    **{
        f"{rows}.{name}": _RESULTS + test
        for rows in ("Boxes", "Masks")
        for name, test in (
            ("__getitem__", "test_indexing_keeps_the_axes"),
            ("cpu", "test_moving"), ("numpy", "test_moving"), ("cuda", "test_moving"),
            ("to", "test_moving_to_another_type"),
        )
    },
    "Boxes": _RESULTS + "test_boxes",
    "Masks": _RESULTS + "test_masks",
    "auto_annotate": _ANNOTATE + "test_a_line_a_box_with_its_class",
    "auto_annotate(detector=)": _ANNOTATE + "test_every_form_of_answer",
    "auto_annotate(conf=)": _ANNOTATE + "test_low_scores_classes_and_too_many_boxes",
    "auto_annotate(classes=)": _ANNOTATE + "test_low_scores_classes_and_too_many_boxes",
    "auto_annotate(max_det=)": _ANNOTATE + "test_low_scores_classes_and_too_many_boxes",
    "auto_annotate(output_dir=)": _ANNOTATE + "test_the_output_folder",
}  # fmt: skip
