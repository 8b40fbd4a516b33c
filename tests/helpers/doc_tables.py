"""How a documented command becomes one that runs here in a second or two: everything that differs from its text."""

ADDED = {
    "classify": "--preset TINY",
    "label": "--labeler boxes --workers 1",
    "refine": "--preset TINY --labeler boxes",
    "segment": "--preset TINY --labeler boxes",
    "run": "--preset TINY --workers 1",
    "predict": "--scales 1 --no-flip --workers 1",
    "predict objects": "--workers 1",
    "report": "--workers 1",
    "compare": "--methods box,wssl --max-images 2 --labeler boxes --workers 1",
    "tune": "--images 2 --trials 2 --labeler boxes --workers 1",
}
"""Options of a command, in the place of the same ones in its text; TINY is a preset of one epoch on small crops."""

PLACEHOLDERS = {
    "VOCdevkit": "DATA",
    "s3://bucket/voc": "DATA",
    "my.yaml": "TINY",
    "round1.yaml": "TINY",
    "round2.yaml": "TINY",
    "round3.yaml": "TINY",
    "round4.yaml": "TINY",
    "labels1": "labels",
    "labels2": "labels",
    "labels3": "labels",
    "labels4": "labels",
    "RUN": "run",
    "trained": "run",
}
"""Names in the text that stand for something else of the prepared folder (conftest.py)."""

OBJECT_PAGES = ("docs/instances.md", "docs/howto/coco.md")
"""Pages whose commands mean by ``network`` one that finds objects."""

SPLITS = ("--split", "--val-split")
"""Options whose value does not make a command another one; nor does that of ``--out``."""

DATASETS = ("DATA", "COCO", "nuclei", "YOLO", "parts", "export", "street")
SLOW = ("classify", "refine", "segment", "run", "compare", "tune")
"""Commands that train or compare: the same one on another data set is not run again."""

NOT_RUN = {
    "pip install *": "needs the network; that its extras exist is looked at",
    "pytest -n 2": "is what runs this",
    "bana demo": "labels 52 photographs; run on three by tests/report/test_demo_command.py",
    "bana run demo --out *": "takes minutes; tests/pipeline/test_run_command.py runs the same on a tiny data set",
    "bana reproduce *": "trains many networks; run by tests/pipeline/test_reproduce_command.py",
    "bana predict network big.jpg *": "takes an image of 100 megapixels",
    "bana predict v1/nal-0 *": "needs a network of a table; --export is run by tests/segment/test_predict_command.py",
    "torchrun *": "several processes; run by tests/engine/test_distributed.py and tests/label/test_merge.py",
    "bana label * --engine ray *": "needs a cluster or a minute to start one; run by tests/engine/test_ray_engine.py",
    "RAY_ADDRESS=* bana label *": "needs a cluster; run by tests/engine/test_ray_engine.py",
    "bana label * --method fuse:sam,labeler *": "needs the files of a SAM; run by tests/label/methods/test_sam.py",
    "bana compare * --sam-encoder *": "needs the files of a SAM; run by tests/label/methods/test_sam.py",
    "bana label * --method gap *": "needs a classifier trained so; run by tests/label/methods/test_label_methods.py",
    "bana label * --warm-start *": "needs a labeler with a refiner; run by tests/label/test_warm_start.py",
    "bana affinity *": "needs a classifier trained so; run by tests/affinity/test_affinity_command.py",
    "bana label * --method affinity *": "needs a network trained so; run by tests/affinity/test_affinity_command.py",
    "cp -r export/images/default *": "is the shell's; done by tests/data/test_tool_round_trips.py",
    "bana convert labels/coco *": "needs those images; done by tests/data/test_tool_round_trips.py",
    "sed -i *": "is the shell's; done by tests/data/test_tool_exports.py",
    "bana app *": "serves until it is ended; run by tests/app/test_app_page.py",
    "bana segment demo-labels/exports/*": "needs an export; what it reads is tested by tests/app/test_app_export.py",
    "python benchmarks/*": "measures for minutes or hours",
    "python densecrf/benchmarks/*": "measures for minutes",
}
"""Patterns of commands that are not run here, each with the reason; that their options are known is looked at."""
