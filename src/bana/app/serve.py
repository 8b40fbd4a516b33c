"""Starts and ends the workbench."""

from __future__ import annotations

import socket
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Timer

import torch
import uvicorn

from bana.app.queue import Queue
from bana.app.server import create_app
from bana.app.workbench import Workbench
from bana.data.mirror import data_facts
from bana.data.records import BoxDataset
from bana.errors import SettingsError
from bana.io.locking import lock_folder
from bana.label.labeler import Labeler
from bana.label.methods.choose import MethodChoice
from bana.label.output import manifest_of

HOST = "127.0.0.1"

CONNECTIONS = 200
"""Open at once; a browser has some six, and each further one is answered that the server is busy."""


def serve(
    dataset: BoxDataset,
    method: MethodChoice,
    folder: Path,
    *,
    port: int,
    open_browser: bool,
    read_only: bool,
    tell: Callable[[str], None],
) -> None:
    """Serve the workbench on this machine until it is interrupted.

    Args:
        dataset: Images with boxes.
        method: A labeler.
        folder: The label folder; gets reviews, uploads and exports.
        port: The port; 0 takes a free one.
        open_browser: Whether to open the page.
        read_only: Whether the page only shows.
        tell: Called with the page's address once it can be opened.

    Raises:
        DataError: If the folder's labels are of other classes, or something in it is damaged.
        CheckpointError: If the labeler is missing or damaged.
        OutputError: If another process works in the folder, it labels another data set, or it cannot be written.
        SettingsError: If the port is taken.
    """
    torch.set_num_threads(1)  # as bana label labels: the same bits, and a core for each of two images
    manifest = manifest_of(method.facts(), dataset.class_table, data_facts(dataset))
    labeler = method.open(dataset.classes, threads=1)
    assert isinstance(labeler, Labeler)
    with lock_folder(folder), _listening(port) as listener:
        bench = Workbench(dataset, labeler, manifest, folder)
        queue = Queue(bench)
        number: int = listener.getsockname()[1]
        address = f"http://{HOST}:{number}/"
        app = create_app(bench, queue, number, read_only=read_only)
        config = uvicorn.Config(app, log_level="warning", access_log=False, limit_concurrency=CONNECTIONS)
        queue.start()
        try:
            tell(address)
            if open_browser:
                Timer(0.5, webbrowser.open, [address]).start()
            with suppress(KeyboardInterrupt):  # that is how a person ends it
                uvicorn.Server(config).run(sockets=[listener])
        finally:
            queue.stop()


def _listening(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()
    except (OSError, OverflowError) as error:
        listener.close()
        raise SettingsError(f"--port {port}: cannot be opened ({error}); choose another, or 0") from error
    return listener
