"""The kernels' parameters as csrc/ops/*_gpu.h declare them. Each launch compares the size with what the PTX expects."""

import ctypes
from ctypes import c_float, c_int, c_longlong, c_void_p


def _fields(text: str) -> tuple[tuple[str, type], ...]:
    """ "pointer a b, int c d[3]" to fields of a structure."""
    types = {"pointer": c_void_p, "long": c_longlong, "int": c_int, "float": c_float}
    fields = []
    for part in text.split(","):
        kind, *names = part.split()
        for name in names:
            name, _, count = name.rstrip("]").partition("[")
            fields.append((name, types[kind] * int(count) if count else types[kind]))
    return tuple(fields)


class ImageToTensorArgs(ctypes.Structure):
    _fields_ = _fields(
        "pointer data uv regions count out, long row_bytes uv_row_bytes slot_step channel_step, int width_px height_px out_width_px "
        "out_height_px source pixel_bytes red green blue channels order[3], float mean[3] scale[3] pad_value[3] quant_scale, int zero_point"
    )


class SharpnessArgs(ctypes.Structure):
    _fields_ = _fields("pointer tensor count sharpness, long slot_step channel_step, int width_px height_px channels, float least_variance")


class DetectionArgs(ctypes.Structure):
    _fields_ = _fields(
        "pointer scores boxes anchors to_source rows status, int anchor_count key_points max_detections, "
        "float least_logit score_clip iou_threshold unit_px"
    )


class AlignBoxArgs(ctypes.Structure):
    _fields_ = _fields(
        "pointer rows count regions, int row_values max_count right_eye left_eye square, float scale shift_x shift_y, "
        "int tensor_width_px tensor_height_px"
    )


class AlignPointsArgs(ctypes.Structure):
    _fields_ = _fields("pointer rows count regions, int row_values max_count points index[16], float template_x[16] template_y[16]")


class AffectArgs(ctypes.Structure):
    _fields_ = _fields(
        "pointer values rows sharpness faces ratings count track_probs tracks raw_probs probs readings, "
        "int max_count labels row_values activation, float temperature smoothing_ms min_face_px min_sharpness full_height_px unknown_below"
    )


class EmotionLayerNormArgs(ctypes.Structure):
    _fields_ = _fields(
        "pointer x probs table gamma beta out, long item_step row_step out_item_step out_row_step, int tokens width emotions, float epsilon"
    )


class MaskedAttentionArgs(ctypes.Structure):
    _fields_ = _fields(
        "pointer query key_same key_other value speakers mask out, "
        "long item_step head_step row_step value_item_step value_head_step value_row_step, int tokens key_width value_width, float scale"
    )


class SkipCrfArgs(ctypes.Structure):
    _fields_ = _fields(
        "pointer emissions speakers lengths start end self other back tags_out scores, long item_step row_step, int utterances tags"
    )


class MemoryTopKArgs(ctypes.Structure):
    _fields_ = _fields(
        "pointer semantic emotion semantics emotions allowed block_distances block_rows distances rows, "
        "long semantics_step emotions_step allowed_step, int count width moods combination k candidates blocks"
    )
