"""What a training run is: dataclasses with the meaning under each field, read from TOML.

A recipe is a TOML file with these sections; `--set section.key=value` changes a value. Unknown keys are errors.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from .._optional import require
from ..errors import InputError, SourceNotFoundError

TRAINABLE = ("decoder", "neck", "lora", "all")
"""What `finetune.train` may name."""
PARTS = 5
"""Of a TinyViT below its neck: the patch embedding and four stages."""
RECIPES = ("mobilesam_100k", "finetune_small", "smoke")
"""Names of the recipes that come with the package."""


@dataclass(frozen=True)
class Student:
    """The network that is trained."""

    arch: str = "tiny_vit_5m"
    """One of `nn.sam.STUDENTS`."""
    dims: tuple[int, ...] = ()
    """Widths of the four stages in place of the architecture's; heads become dims / 32, at least 1."""
    depths: tuple[int, ...] = ()
    """Depths of the four stages in place of the architecture's."""
    img_size: int = 1024
    """Side of the square in which the encoder sees a photo: 1024, 768 or 512 (any multiple of 32)."""
    init: str = ""
    """Model whose weights the encoder starts from where names and shapes agree; empty: random weights."""
    freeze: int = 0
    """So many parts of the encoder keep their weights, from the photo on: the patch embedding, then the four stages."""
    batch_norm: Literal["auto", "frozen", "live"] = "auto"
    """Statistics of BatchNorm: kept, or of each batch. "auto" keeps them where `init` gives them."""


@dataclass(frozen=True)
class Distill:
    """What is learnt from the teacher."""

    mse: float = 1.0
    """Weight of the squared difference of embeddings (stage 1, decoupled)."""
    normalise: bool = False
    """Divide each channel's difference by the teacher's standard deviation in that channel."""
    padding: float = 1.0
    """Weight of the embedding's cells that hold no photo; 0 leaves them out (docs/training.md says what that does)."""
    masks: float = 0.0
    """Weight of the mask losses (stage 2, prompts in the loop); 0 never runs the decoder."""
    flips: bool = True
    """Take mirrored photos too, where their embeddings are stored."""


@dataclass(frozen=True)
class Finetune:
    """What of a model changes on a user's own masks."""

    train: str = "decoder"
    """Parts joined by "+": decoder, neck (the encoder's last layers), lora (low-rank additions to its attention and
    MLPs), all."""
    rank: int = 8
    """Of LoRA."""
    flips: bool = True
    """Take mirrored photos too."""
    feedback: float = 0.5
    """Share of rounds after the first that get the earlier mask as well."""
    classes: float = 0.0
    """Weight of the class loss: above 0 a class head is trained, on COCO's or LVIS' categories."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts in `train`."""
        return tuple(self.train.split("+"))


@dataclass(frozen=True)
class Prompts:
    """Simulated prompts, after SAM's training procedure (Kirillov et al. 2023, appendix A)."""

    objects: int = 8
    """Objects a photo and step, at most."""
    rounds: int = 2
    """Prompts an object: a box or a point, then points where the mask is wrong. 1 to 8."""
    boxes: float = 0.5
    """Share of objects whose first prompt is a box."""
    noise: float = 0.1
    """Standard deviation of a box corner's error, of the box's side; at most 20 pixels of 1024."""
    focal: float = 20.0
    """Weight of the focal loss; SAM's."""
    dice: float = 1.0
    """Weight of the dice loss; SAM's."""
    iou: float = 1.0
    """Weight of the squared error of the predicted IoU; SAM's."""

    def weigh(self, parts: Mapping[str, Any]) -> Any:
        """The mask losses "focal", "dice" and "iou" as one."""
        return self.focal * parts["focal"] + self.dice * parts["dice"] + self.iou * parts["iou"]


@dataclass(frozen=True)
class Optimiser:
    """AdamW, warm-up, cosine."""

    lr: float = 1e-3
    """Highest learning rate."""
    lr_end: float = 0.01
    """Learning rate of the last step, as a share of `lr`."""
    warmup: int = 500
    """Steps in which the learning rate rises to `lr`."""
    weight_decay: float = 0.01
    """Of matrices and kernels; biases, norms and attention biases have none."""
    layer_decay: float = 1.0
    """Each stage before the last has its learning rate times this once more; 1: all alike."""
    clip: float = 5.0
    """Largest norm of all gradients together; 0: not clipped."""


@dataclass(frozen=True)
class Loop:
    """How long, how much at once, what is kept."""

    steps: int = 1000
    """Optimiser steps."""
    batch: int = 8
    """Photos a step, over all processes."""
    accumulate: int = 1
    """In so many parts a process takes its share of the batch: less memory, the same result."""
    bf16: bool = False
    """Compute in bfloat16 where that is safe (autocast); weights stay float32."""
    ema: float = 0.0
    """Decay of the averaged weights that are validated and saved; 0: the weights themselves."""
    seed: int = 0
    """Of weights, order and prompts; with it a run repeats itself."""
    workers: int = 4
    """Threads that read photos."""
    log_every: int = 10
    """Steps between lines of the log."""
    save_every: int = 500
    """Steps between states that a killed run goes on from."""
    picture_every: int = 500
    """Steps between pictures of sample masks; 0: none."""


@dataclass(frozen=True)
class Validation:
    """Masks measured on labelled photos while training."""

    data: tuple[str, ...] = ()
    """Data sets that `mobilesam val` reads; empty: none, and the last weights are the result."""
    protocol: str = "box"
    """One of `evaluate.PROTOCOLS`; its first score decides which weights are best."""
    every: int = 1000
    """Steps between validations."""
    limit: int = 50
    """Photos of each set, evenly spread."""
    max_objects: int = 4
    """Objects a photo."""
    patience: int = 0
    """Stop after so many validations without a better score; 0: never."""


@dataclass(frozen=True)
class Config:
    """A whole run."""

    task: Literal["distill", "finetune"] = "distill"
    """What is trained for."""
    student: Student = field(default_factory=Student)
    distill: Distill = field(default_factory=Distill)
    finetune: Finetune = field(default_factory=Finetune)
    prompts: Prompts = field(default_factory=Prompts)
    optimiser: Optimiser = field(default_factory=Optimiser)
    loop: Loop = field(default_factory=Loop)
    validation: Validation = field(default_factory=Validation)

    def __post_init__(self) -> None:
        """Raises InputError where values don't go together."""
        for condition, message in _rules(self):
            if not condition:
                raise InputError(message)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as TOML and JSON hold them."""
        return asdict(self)


def _rules(config: Config) -> list[tuple[bool, str]]:
    student, distill, tuned, prompts, loop, opt = (
        config.student, config.distill, config.finetune, config.prompts, config.loop, config.optimiser,
    )  # fmt: skip
    return [
        (set(tuned.parts) <= set(TRAINABLE), f"finetune.train is made of {', '.join(TRAINABLE)}, got {tuned.train!r}."),
        (tuned.rank >= 1 and tuned.classes >= 0, "finetune.rank must be 1 or more, finetune.classes not negative."),
        (0 <= tuned.feedback <= 1, f"finetune.feedback is a share from 0 to 1, got {tuned.feedback}."),
        (
            config.task == "distill" or (student, distill) == (Student(), Distill()),
            'With task = "finetune" the sections student and distill mean nothing; leave them out.',
        ),
        (
            config.task == "finetune" or tuned == Finetune(),
            'With task = "distill" the section finetune means nothing; leave it out.',
        ),
        (student.img_size > 0 and student.img_size % 32 == 0, f"student.img_size {student.img_size} isn't 32 * n."),
        (0 <= student.freeze <= PARTS, f"student.freeze must be 0 to {PARTS}, got {student.freeze}."),
        (len(student.dims) in (0, 4), "student.dims must be four widths, one a stage."),
        (all(d > 0 and d % 16 == 0 for d in student.dims), "student.dims must be multiples of 16."),
        (len(student.depths) in (0, 4) and all(d > 0 for d in student.depths), "student.depths must be four numbers."),
        (min(distill.mse, distill.masks, distill.padding) >= 0, "Weights of losses must not be negative."),
        (distill.mse + distill.masks > 0, "distill.mse or distill.masks must be above 0: nothing would be learnt."),
        (1 <= prompts.rounds <= 8, f"prompts.rounds must be 1 to 8, got {prompts.rounds}."),
        (prompts.objects >= 1, f"prompts.objects must be 1 or more, got {prompts.objects}."),
        (0 <= prompts.boxes <= 1, f"prompts.boxes is a share from 0 to 1, got {prompts.boxes}."),
        (opt.lr > 0 and 0 < opt.layer_decay <= 1, "optimiser.lr must be above 0, layer_decay above 0 and at most 1."),
        (min(loop.steps, loop.batch, loop.accumulate) >= 1, "loop.steps, batch and accumulate must be 1 or more."),
        (loop.batch % loop.accumulate == 0, f"loop.batch {loop.batch} isn't a multiple of accumulate."),
        (min(loop.workers, loop.log_every, loop.save_every) >= 1, "loop.workers and *_every must be 1 or more."),
        (0 <= loop.ema < 1, f"loop.ema must be from 0 to below 1, got {loop.ema}."),
        (config.validation.every >= 1, "validation.every must be 1 or more."),
    ]


def load(recipe: str | Path, changes: Sequence[str] = ()) -> Config:
    """A recipe by its name (`RECIPES`) or path, with changes like "loop.batch=4".

    Raises SourceNotFoundError, InputError (no TOML, an unknown key, a value of the wrong kind).

    >>> load("smoke", ["loop.batch=4"]).loop.batch
    4
    """
    values = _parse(_text_of(recipe), str(recipe))
    for change in changes:
        _apply(values, change)
    return from_dict(values, str(recipe))


def from_dict(values: Mapping[str, Any], where: str = "the configuration") -> Config:
    """A Config of plain values. Raises InputError that names the known keys."""
    made: Config = _build(Config, values, where, "")
    return made


def changed(config: Config, changes: Mapping[str, Any]) -> Config:
    """A copy with values in place of some: {"loop.steps": 10}."""
    for name, value in changes.items():
        section, _, key = name.partition(".")
        config = replace(config, **{section: replace(getattr(config, section), **{key: value})})
    return config


def _text_of(recipe: str | Path) -> str:
    if str(recipe) in RECIPES:
        return resources.files(f"{__package__}.recipes").joinpath(f"{recipe}.toml").read_text(encoding="utf-8")
    path = Path(recipe).expanduser()
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        known = ", ".join(RECIPES)
        raise SourceNotFoundError(f"No recipe {str(recipe)!r}; pass a TOML file or one of: {known}.") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} can't be read as a recipe: {error}.") from error


def _parse(text: str, where: str) -> dict[str, Any]:
    name = "tomllib" if sys.version_info >= (3, 11) else "tomli"
    toml = require(name, "train", "Reading recipes")
    try:
        values: dict[str, Any] = toml.loads(text)
    except toml.TOMLDecodeError as error:
        raise InputError(f"{where} is no TOML: {error}.") from error
    return values


def _apply(values: dict[str, Any], change: str) -> None:
    """ "loop.batch=4" into nested values; the value is TOML, or a string where that doesn't parse."""
    name, sign, raw = change.partition("=")
    if not sign or not name.strip():
        raise InputError(f"--set {change!r} must be SECTION.KEY=VALUE, like loop.batch=4.")
    try:
        value = _parse(f"value = {raw}", change)["value"]
    except InputError:
        value = raw.strip()
    *sections, key = name.strip().split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise InputError(f"--set {change!r}: {section} is a value, not a section.")
    values[key] = value


def _build(kind: type[Any], values: Mapping[str, Any], where: str, section: str) -> Any:
    known = {f.name: f for f in fields(kind)}
    if unknown := [key for key in values if key not in known]:
        raise InputError(f"{where}: unknown key {section + unknown[0]!r}; known: {', '.join(known)}.")
    types = get_type_hints(kind)
    return kind(**{key: _value(types[key], value, where, section + key) for key, value in values.items()})


def _value(kind: Any, value: Any, where: str, name: str) -> Any:
    """A value of TOML as a field's type."""
    if isinstance(kind, type) and hasattr(kind, "__dataclass_fields__"):
        if not isinstance(value, Mapping):
            raise InputError(f"{where}: {name} is a section, got {value!r}.")
        return _build(kind, value, where, f"{name}.")
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal and value in arguments:
        return value
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_value(arguments[0], item, where, name) for item in value)
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and type(value) is kind:
        return value
    wanted = " or ".join(map(repr, arguments)) if origin is Literal else getattr(kind, "__name__", str(kind))
    raise InputError(f"{where}: {name} must be {wanted}, got {value!r}.")
