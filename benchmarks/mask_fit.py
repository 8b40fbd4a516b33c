"""Whether the measure by which ``bana run`` chooses a labeler ranks labels as true masks do.

    python benchmarks/mask_fit.py DATA --split train --labels own=LABELS1 trained=LABELS2

For each folder of labels: mIoU and mask AP against the true masks, and the mean fit, which needs none.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bana import read_dataset
from bana.data.label_folder import LabelFolder, labeled_part
from bana.evaluate import evaluate_labels
from bana.evaluate.without_truth import label_fit


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--split")
    parser.add_argument("--labels", nargs="+", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--every", type=int, default=1, help="take every N-th image")
    arguments = parser.parse_args()
    dataset = read_dataset(arguments.data, arguments.split)
    dataset = replace(dataset, records=dataset.records[:: arguments.every])
    folders = {name: LabelFolder(Path(path)) for name, _, path in (each.partition("=") for each in arguments.labels)}
    for folder in folders.values():
        dataset = labeled_part(dataset, folder)
    table = Table("labels", "mIoU", "mask AP", "fit", title=f"{len(dataset)} images")
    for name, folder in folders.items():
        scores = evaluate_labels(folder.path, dataset, boundary=False)
        fit = label_fit(folder, dataset.records)
        table.add_row(name, f"{scores.labelings['y_crf'].miou:.1f}", f"{scores.instances.ap:.1f}", f"{fit:.3f}")
    Console().print(table)


if __name__ == "__main__":
    main()
