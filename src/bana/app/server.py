"""The HTTP server of the page."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from importlib.resources import files
from threading import Lock
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from bana.app.actions import Action, Body
from bana.app.export import Format, Which, export
from bana.app.guard import Guard
from bana.app.queue import Queue
from bana.app.uploads import MAX_BYTES
from bana.app.views import bench_view, check_viewable, photograph, review_view, thumbnail
from bana.app.workbench import Shown, StaleError, UnknownImageError, Workbench
from bana.data.images import open_record_image
from bana.errors import BanaError, OutputError

_UPLOADS = 2
"""Photographs that are taken in at once."""

_THUMBNAILS = 2000
"""That are kept in memory, some 10 kB each."""

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

ImageId = Annotated[str, Field(max_length=4096)]
Image = Annotated[str, Query(max_length=4096)]


class Act(Body):
    """An action on an image, of which the page knows this revision."""

    image: ImageId
    revision: int
    action: Action


class Ahead(Body):
    """Images that will be opened soon."""

    images: Annotated[list[ImageId], Field(max_length=8)]


class Wanted(Body):
    """An export."""

    format: Format
    which: Which


class ReadOnlyError(BanaError):
    """A change was asked for where nothing may be changed."""


def create_app(bench: Workbench, queue: Queue, port: int, *, read_only: bool = False) -> FastAPI:
    """The application: the page, the images, and what can be done with them.

    Args:
        bench: The images.
        queue: The queue of these images.
        port: The port that it is served on.
        read_only: Whether every change, upload and export is refused.
    """

    def check_change(request: Request) -> None:
        if read_only and request.method == "POST" and request.url.path != "/api/ahead":
            raise ReadOnlyError("read-only: nothing can be changed here; start bana app without --read-only")

    app = FastAPI(title="bana", openapi_url=None, docs_url=None, redoc_url=None, dependencies=[Depends(check_change)])
    app.add_middleware(Guard, port=port, max_bytes=MAX_BYTES)
    app.add_exception_handler(BanaError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    _serve_files(app)
    _serve_images(app, bench, queue, read_only=read_only)
    _serve_actions(app, bench, queue)
    return app


_STATUS: dict[type[BanaError], int] = {
    ReadOnlyError: 403,
    UnknownImageError: 404,
    StaleError: 409,
    OutputError: 507,
}


def _refused(request: Request, error: Exception) -> Response:
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 422)
    return JSONResponse({"detail": str(error)}, status)


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]  # what was sent is not sent back: it may be long, and no JSON
    return JSONResponse({"detail": f"{'.'.join(map(str, first['loc']))}: {first['msg']}"}, 422)


def _serve_files(app: FastAPI) -> None:
    """The page's own files, read once: a request names one of them, never a path."""
    folder = files("bana.app") / "static"
    contents = {each.name: each.read_bytes() for each in folder.iterdir()}

    @app.get("/")
    def page() -> Response:
        return static("index.html")

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in contents:
            raise UnknownImageError(f"{name!r:.200}: no such file")
        return Response(contents[name], media_type=_TYPES[name[name.rindex(".") :]])


def _serve_images(app: FastAPI, bench: Workbench, queue: Queue, *, read_only: bool) -> None:
    @lru_cache(_THUMBNAILS)
    def small(image_id: str) -> bytes:
        return thumbnail(open_record_image(bench.record(image_id)))

    @app.get("/api/bench")
    def about() -> dict[str, Any]:
        return bench_view(bench, read_only=read_only)

    @app.get("/api/images")
    def images() -> list[dict[str, Any]]:
        return [row.as_dict() for row in queue.rows()]

    @app.get("/api/photograph")
    def large(image: Image) -> Response:
        check_viewable(bench.record(image))
        return Response(photograph(bench.open(image).image), media_type="image/jpeg")

    @app.get("/api/thumbnail")
    def thumb(image: Image) -> Response:
        bench.record(image)
        return Response(small(image), media_type="image/jpeg")

    @app.get("/api/review")
    def review(image: Image) -> dict[str, Any]:
        return noted(image, bench.show(image))

    @app.get("/api/first")
    def first(image: Image) -> dict[str, Any]:
        return review_view(bench.record(image), bench.show_first(image))

    @app.post("/api/act")
    def act(body: Act) -> dict[str, Any]:
        return noted(body.image, bench.act(body.image, body.revision, body.action))

    def noted(image: str, shown: Shown) -> dict[str, Any]:
        queue.note(image, shown.review.draft)
        return review_view(bench.record(image), shown)


def _serve_actions(app: FastAPI, bench: Workbench, queue: Queue) -> None:
    uploading, exporting = asyncio.Semaphore(_UPLOADS), Lock()

    @app.post("/api/ahead")
    def ahead(body: Ahead) -> dict[str, Any]:
        queue.ahead([bench.record(image).image_id for image in body.images])
        return {}

    @app.post("/api/export")
    def write(body: Wanted) -> dict[str, Any]:
        with exporting:  # two at once would look for a free folder at the same time
            return export(bench, body.format, body.which).as_dict()

    @app.post("/api/upload")
    async def upload(request: Request, name: Annotated[str, Query(max_length=500)]) -> dict[str, Any]:
        async with uploading:  # a body is read by who holds this alone, so memory is bounded
            content = await request.body()
            record = await run_in_threadpool(bench.upload, name, content)
        await run_in_threadpool(lambda: queue.note(record.image_id, bench.review(record.image_id).draft))
        return {"image": record.image_id}
