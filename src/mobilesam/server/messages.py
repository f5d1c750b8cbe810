"""What requests say, as types: checked while they are read, and the source of the OpenAPI page."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..everything import EverythingConfig
from .problems import Problem

M = TypeVar("M", bound=BaseModel)
Size: TypeAlias = Annotated[list[int], Field(min_length=2, max_length=2, description="Height and width.")]
Point: TypeAlias = Annotated[list[float], Field(min_length=2, max_length=2)]
Box: TypeAlias = Annotated[list[float], Field(min_length=4, max_length=4, description="x1, y1, x2, y2")]


class Message(BaseModel):
    """JSON whose types are as they stand; unknown keys are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class RunLengths(Message):
    """A mask in COCO's compressed run lengths, of the picture's size."""

    size: Size
    counts: str = Field(max_length=2**20)


class PromptIn(Message):
    """One object: points, a box, an earlier mask, or several of these together; in the picture's pixels."""

    points: list[Point] = Field(default=[], description="[x, y], from the top left corner.")
    labels: list[Literal[0, 1]] | None = Field(
        default=None, description="1 object (the default), 0 not this; one a point."
    )
    box: Box | None = None
    mask: RunLengths | None = None


class MasksRequest(Message):
    """Prompts about a picture."""

    embedding: str | None = Field(
        default=None, max_length=200, description="An id; in a form with an image, leave it out."
    )
    prompts: list[PromptIn] = Field(min_length=1)
    multimask: bool | Literal["best"] = Field(
        default=False, description="One mask a prompt, three, or the best of three for a lone click."
    )


class EverythingOptions(Message):
    """See docs/everything.md."""

    quality: Literal["fast", "exact"] | None = None
    overlap: Literal["all", "disjoint", "hierarchy"] | None = None
    points_per_side: int | None = Field(default=None, ge=1, le=128)
    pred_iou_thresh: float | None = Field(default=None, ge=0, le=1)
    stability_score_thresh: float | None = Field(default=None, ge=0, le=1)
    stability_score_offset: float | None = Field(default=None, ge=0, le=100)
    box_nms_thresh: float | None = Field(default=None, ge=0, le=1)
    crop_n_layers: int | None = Field(default=None, ge=0, le=3)
    crop_nms_thresh: float | None = Field(default=None, ge=0, le=1)
    crop_overlap_ratio: float | None = Field(default=None, ge=0, le=0.9)
    crop_n_points_downscale_factor: int | None = Field(default=None, ge=1, le=16)
    min_mask_region_area: int | None = Field(default=None, ge=0, le=2**31)
    max_masks: int | None = Field(default=None, ge=1, le=2**31)
    tiles: int | None = Field(default=None, ge=256, le=8192)
    tile_overlap: float | None = Field(default=None, ge=0, le=0.75)

    def config(self) -> dict[str, Any]:
        """The arguments of SAM.everything. Raises InputError where they don't go together."""
        given = self.model_dump(exclude_none=True)
        EverythingConfig(**given)
        return given


class EverythingRequest(Message):
    """All objects of a picture."""

    embedding: str | None = Field(
        default=None, max_length=200, description="An id; in a form with an image, leave it out."
    )
    options: EverythingOptions = EverythingOptions()


class EmbeddingMade(BaseModel):
    """An embedding that is kept for further requests."""

    id: str
    size: Size
    model: str
    expires_in: float | None = Field(description="Seconds after the last use.")


class MaskOut(BaseModel):
    """One mask."""

    rle: RunLengths
    box: Box
    area: int
    iou: float = Field(description="Predicted IoU.")
    prompt: int = Field(description="Which prompt it answers.")


class MasksMade(BaseModel):
    """The masks of all prompts, in their order."""

    size: Size
    masks: list[MaskOut]
    ms: dict[str, float] = Field(description="Milliseconds of the steps.")


class ErrorDetail(BaseModel):
    """What went wrong."""

    type: str
    message: str


class ErrorMade(BaseModel):
    """Any answer with a status of 400 or more."""

    error: ErrorDetail


def parse(kind: type[M], text: bytes | None) -> M:
    """The request. Raises Problem (422), which names the place but quotes nothing."""
    try:
        return kind.model_validate_json(text if text is not None else b"")
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the JSON"
        raise Problem(422, "InputError", f"{place}: {first['msg']}") from None
