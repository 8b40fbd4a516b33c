"""Every option and argument of the command line, once: its type, its values and its help.

Commands name them in their signatures. ``--help`` and completion come from here. The lists of values repeat those of
the settings: importing the settings would load torch, which is slow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, Option

METHODS = (
    *("labeler", "bap", "bap-cam", "ret", "bap+ret", "gap", "cam", "affinity"),
    *("box", "grabcut", "wssl", "mcg", "sdi", "sam"),
)
PRESETS = ("coco", "lite0", "resnet101", "small", "vgg16", "vgg16-text")

FormatName = Literal["voc", "coco", "yolo", "labelme", "cvat", "dota", "mot", "yolo-seg"]
TargetName = Literal["voc", "coco", "yolo", "labelme", "dota", "yolo-seg"]
OnErrorName = Literal["stop", "skip"]
TaskName = Literal["semantic", "instance"]
LossName = Literal[
    "nal",
    "agreed",
    "y_crf",
    "y_ret",
    "entropy",
    "bootstrap_soft",
    "bootstrap_hard",
    "filling_rate",
    "em_fixed",
    "attention_weighted",
    "box_masking",
]
PoolingName = Literal["bap", "gap", "image"]
PrecisionName = Literal["float32", "bfloat16", "float16"]
EngineName = Literal["local", "ray"]
UnaryName = Literal["attention", "cam"]
SearchName = Literal["grid", "random"]
ImageModeName = Literal["copy", "link", "none"]
PredictionName = Literal["voc-server", "geo"]
ExportName = Literal["onnx", "torchscript"]
TableName = Literal["table1", "table2", "table3", "table4", "table5", "table6"]


def _methods(incomplete: str) -> list[str]:
    return [name for name in METHODS if name.startswith(incomplete)]


def _presets(incomplete: str) -> list[str]:
    return [name for name in PRESETS if name.startswith(incomplete)]


def _option(help: str, *names: str, **more: Any) -> Any:
    return Option(*names, help=help, **more)


# Data sets
Data = Annotated[Path, Argument(metavar="DATA", help="Data set: a folder, COCO JSON file or YOLO data.yaml.")]
DataOrDemo = Annotated[
    Path,
    Argument(metavar="DATA", help="Data set: a folder, COCO JSON file or YOLO data.yaml; demo: the sample set."),
]
DataOrAddress = Annotated[
    str,
    Argument(metavar="DATA", help="Data set: a folder, COCO JSON file, YOLO data.yaml, or an address (s3://...)."),
]
DataWithMasks = Annotated[
    Path, Argument(metavar="DATA", help="Data set with true masks: a folder, COCO JSON file or YOLO data.yaml.")
]
LabeledData = Annotated[Path | None, _option("The labeled data set (default: the one that the run names).")]
Split = Annotated[str | None, _option("Split of the data set, such as train (default: the only one).")]
Splits = Annotated[list[str] | None, _option("Split to convert; repeat for several (default: all).", "--split")]
PredictSplit = Annotated[
    str | None, _option("Predict on this split of the data set IMAGES (default: IMAGES are files).")
]
TrainSplit = Annotated[
    str | None, _option("Split to learn from (default: train_aug for tables 3 to 5, else the only one).", "--split")
]
ValSplit = Annotated[str | None, _option("Split with true masks to score on after every epoch (default: none).")]
RunValSplit = Annotated[
    str | None,
    _option("Split with true masks to score the network on (default: the images learned, if they have masks)."),
]
TableValSplit = Annotated[str | None, _option("Split to score on (default: val for tables 3 to 5).", "--val-split")]
Format = Annotated[FormatName | None, _option("Format of the data set (default: detected).")]
SourceFormat = Annotated[FormatName | None, _option("Format of SRC (default: detected).", "--from", "--format")]
Truth = Annotated[Path | None, _option("Folder of true masks, <image>.png (default: the data set's own).")]
Masks = Annotated[
    Path | None, _option("Folder of true masks, <image>.png, used instead of an image's labels (default: none).")
]

# Conversion
Source = Annotated[Path, Argument(metavar="SRC", help="Data set: a folder, COCO JSON file or YOLO data.yaml.")]
OutArgument = Annotated[Path, Argument(metavar="OUT", help="Folder to write.")]
TargetFormat = Annotated[TargetName, _option("Format to write.")]
Polygons = Annotated[bool, _option("Write COCO masks as polygons instead of RLE.", "--polygons")]
Tolerance = Annotated[
    float, _option("Pixels by which the outlines of YOLO, or COCO's polygons, may deviate from the masks.", min=0)
]
MaxPoints = Annotated[
    int | None, _option("Maximum number of points of an object's outlines (default: no limit).", min=4)
]
ImageMode = Annotated[ImageModeName, _option("Copy the images, hard-link them, or write annotations only.")]
Overwrite = Annotated[bool, _option("Write into OUT even if it is not empty.", "--overwrite")]

# Output
RunFolder = Annotated[Path, _option("Folder of the run. Run the command again to continue.")]
LabelsOut = Annotated[str, _option("Folder for the labels, or an address (s3://...). Finished labels are kept.")]
MergedOut = Annotated[Path, _option("Folder for all labels. Existing labels are kept.")]
CompareOut = Annotated[Path, _option("Folder for the labels of all methods. Finished work is kept.")]
TablesOut = Annotated[Path, _option("Folder of all runs. Finished work is kept.")]
TuneOut = Annotated[Path, _option("Folder of the search. It then serves as --labeler.")]
PredictOut = Annotated[Path, _option("Folder for label maps or objects. Finished pictures are kept.")]
DemoOut = Annotated[Path, _option("Folder for the picture and the labels.")]
ExportOut = Annotated[Path | None, _option("File to write (default: beside the network's file).")]
PageOut = Annotated[Path | None, _option("HTML file to write (default: RUN/report.html).")]
Json = Annotated[bool, _option("Print one JSON object and nothing else.", "--json")]

# What else is read
Results = Annotated[
    Path,
    Argument(metavar="RESULTS", help="Folder of bana label or bana predict, or COCO results or annotations (.json)."),
]
Network = Annotated[Path, Argument(metavar="RUN", help="Folder of bana segment or bana run, or the file of a network.")]
Reported = Annotated[Path, Argument(metavar="RUN", help="Folder of bana run, or of bana label (then give --data).")]
Images = Annotated[
    list[str],
    Argument(metavar="IMAGES...", help="Images, folders, patterns, lists (.txt) or videos; with --split, data sets."),
]
Shards = Annotated[
    list[Path], Argument(metavar="SHARDS...", help="The --out of bana label --shard, or the folders of the shards.")
]
Labels = Annotated[Path | None, _option("Folder of bana label (default: none, learn true masks).")]
AgreedLabels = Annotated[
    Path | None, _option("Labels of these images, to learn the pixels where both labelings agree too (default: none).")
]
CheckedLabels = Annotated[
    Path | None, _option("Labels of these images, to list boxes whose masks look wrong (default: none).", "--labels")
]
RefineLabels = Annotated[Path, _option("Folder of bana label: the labels to learn from.")]
AppLabels = Annotated[Path | None, _option("Folder of labels and reviews (default: DATA-labels beside DATA).")]
Labeler = Annotated[Path | None, _option("Folder of bana classify, or a labeler file (default: bana's own labeler).")]
Labelers = Annotated[
    list[str] | None,
    _option(
        "Folder of bana classify, or a labeler file (default: bana's own labeler). METHOD=RUN sets that of one method."
    ),
]
RefineLabeler = Annotated[
    Path | None,
    _option("Labeler to combine with the refiner, the one that made the labels (default: bana's own labeler)."),
]
ImageLabeler = Annotated[
    Path, _option("Folder of bana classify --pooling image: the labeler whose class activations are learned.")
]
StartLabeler = Annotated[
    Path | None, _option("Labeler to start from, if the preset starts from one (default: bana's own labeler).")
]
OtherLabeler = Annotated[
    Path | None,
    _option("Labeler trained on other data, for tables 2 and 6 (default: bana's own labeler).", "--labeler"),
]
SamEncoder = Annotated[Path | None, _option("ONNX file of the encoder (needed by the method sam).")]
SamDecoder = Annotated[Path | None, _option("ONNX file of the decoder (needed by the method sam).")]

# Methods of labeling
Method = Annotated[
    str, _option(f"Method of labeling: {', '.join(METHODS)}, or fuse:A,B for two.", autocompletion=_methods)
]
Methods = Annotated[
    str, _option(f"Methods to compare, joined by commas: {', '.join(METHODS)}, fuse:A,B; all: those that can run here.")
]
LabelFormats = Annotated[
    str, _option("Formats to write, joined by commas: png (always), coco, yolo (or yolo-seg), labelme, voc, geo.")
]
FormatImages = Annotated[
    ImageModeName, _option("Copy or hard-link the images into the folders of --formats, or write annotations only.")
]
Tile = Annotated[
    str, _option("Label in tiles: auto (images of more than 33 megapixels), none, or the side of a tile in pixels.")
]
Refine = Annotated[
    bool | None,
    _option("Combine with the labeler's refiner (default: if it has one).", "--refine/--no-refine"),
]
U0 = Annotated[UnaryName | None, _option("Background unary (default: the labeler's).")]
Refinements = Annotated[int | None, _option("Rounds of retrieval and CRF (default: the method's).")]
WarmStart = Annotated[
    bool, _option("Label the frames of a video in order. Each starts from the masks of the last one.", "--warm-start")
]
Preview = Annotated[bool, _option("Also write a video of the masks, with one color per track.", "--preview")]
ShardOption = Annotated[
    str | None,
    _option("NUMBER/COUNT, such as 3/8: label only this part (default: all; under torchrun, the rank's part)."),
]
Engine = Annotated[EngineName, _option("Label with processes of this machine (local) or on a Ray cluster (ray).")]
MaxImages = Annotated[int | None, _option("Compare on this many images, chosen at random (default: all).", min=1)]
Trials = Annotated[int, _option("Maximum number of settings to try. The labeler's own come first.")]
Search = Annotated[SearchName, _option("Vary one parameter after the other (grid) or all at once (random).")]
TuneImages = Annotated[int, _option("Number of images to search on. As many others, if available, measure the gain.")]

# Training
Preset = Annotated[
    str, _option(f"Preset ({', '.join(PRESETS)}) or YAML file with the settings.", autocompletion=_presets)
]
RunPreset = Annotated[
    str | None,
    _option(
        f"Preset ({', '.join(PRESETS)}) or YAML file with the settings (default: lite0; small for the demo).",
        "--preset",
        autocompletion=_presets,
    ),
]
TablePreset = Annotated[
    str | None,
    _option(
        "Preset or YAML file with the settings (default: the table's own; lite0 runs on a CPU).",
        "--preset",
        autocompletion=_presets,
    ),
]
LabelPreset = Annotated[
    str | None,
    _option(
        f"Preset ({', '.join(PRESETS)}) or YAML file with the label settings (default: the labeler's own settings).",
        "--preset",
        autocompletion=_presets,
    ),
]
Set = Annotated[
    list[str] | None,
    _option("Change a setting, such as image_side=900; repeat for several.", "--set", metavar="KEY=VALUE"),
]
Pooling = Annotated[PoolingName | None, _option("How to pool the features of a box (default: the preset's).")]
Task = Annotated[TaskName, _option("Give every pixel a class (semantic) or train a Mask R-CNN (instance).")]
Loss = Annotated[LossName | None, _option("Loss (default: the preset's).")]
Epochs = Annotated[int | None, _option("Passes over the images (default: the preset's).")]
NetworkEpochs = Annotated[int | None, _option("Epochs of the segmentation network (default: the preset's).")]
Precision = Annotated[PrecisionName | None, _option("Number format of the computation (default: the preset's).")]
Accumulate = Annotated[int, _option("Split each batch into this many parts, to save memory.", min=1)]
CheckpointSeconds = Annotated[float, _option("Minimum time between two checkpoints, in seconds.", min=0)]
Tensorboard = Annotated[bool, _option("Write a log for TensorBoard too.", "--tensorboard")]
Pictures = Annotated[int, _option("Number of images whose confidence maps are drawn.", min=0)]
StageLoadWorkers = Annotated[int, _option("Processes that load images; 0: the training process does.", min=0)]
LoadWorkers = Annotated[int, _option("Processes that load images; 0: the training process does.", "--workers", min=0)]

# Prediction and export
Scales = Annotated[str | None, _option("Image scales to average over (default: 0.5,0.75,1,1.5).")]
Flip = Annotated[bool | None, _option("Average over mirrored images too (default: yes).")]
Crf = Annotated[bool | None, _option("Refine with the fully connected CRF (default: yes).")]
Overlays = Annotated[bool, _option("Write colored pictures too.", "--overlays")]
Probabilities = Annotated[bool, _option("Write class probabilities too (.npz).", "--probabilities")]
PredictionExport = Annotated[
    PredictionName | None, _option("Write an archive for VOC's evaluation server, or GeoTIFF and GeoJSON, too.")
]
MinScore = Annotated[float | None, _option("Minimum score of a Mask R-CNN's object (default: 0.05).")]
ExportFormat = Annotated[ExportName, _option("Format to write.")]

# Scores, tables and pages
Boundary = Annotated[bool, _option("Compute boundary IoU too.")]
Table = Annotated[TableName, Argument(metavar="TABLE", help="Table of the paper: table1, table2, ... or table6.")]
Rows = Annotated[str | None, _option("Rows of the table, joined by commas (default: all).")]
Seeds = Annotated[int, _option("Number of seeds to train each network with.", min=1)]
MaskShare = Annotated[
    float | None,
    _option("Share of images whose true masks the row semi uses (default: the images of train).", min=0, max=1),
]
GalleryImages = Annotated[int, _option("Maximum number of images in the gallery. The numbers count all images.", min=1)]
ThumbnailSize = Annotated[int, _option("Longest side of the gallery's pictures, in pixels.", min=64, max=2048)]
Port = Annotated[int, _option("Port, open to this machine only; 0: a free one.", min=0, max=65535)]
Browser = Annotated[bool, _option("Open the page in a browser.", "--open/--no-open")]
ReadOnly = Annotated[bool, _option("Show only: refuse every change, upload and export.", "--read-only")]

# What all kinds of commands share
Seed = Annotated[int, _option("Random seed.")]
Device = Annotated[str, _option("Device: cpu, cuda, cuda:1, mps, ...; auto: CUDA if there is a GPU.")]
Workers = Annotated[
    int | None, _option("Number of worker processes (default: one per core, fewer where memory is short).", min=1)
]
OnError = Annotated[OnErrorName, _option("What to do with an image that cannot be used: stop, or skip it.")]
Strict = Annotated[bool, _option("Treat a repaired or skipped object as a fault of its image.")]
FollowLinks = Annotated[bool, _option("Follow symbolic links to images outside the data set.", "--follow-links")]
