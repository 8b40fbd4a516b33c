"""The server: who is answered, with what headers, and what it refuses."""

import json
from dataclasses import replace
from importlib.resources import files

import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from bana.app.queue import Queue
from bana.app.server import create_app
from bana.app.uploads import MAX_BYTES

PORT = 8008
FOREIGN = "http://evil.example"


def act(client, action, image="a", revision=0, **more):
    return client.post("/api/act", json={"image": image, "revision": revision, "action": action, **more})


def test_the_page_and_its_files_name_nothing_outside(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "http" not in page.text.replace("http-equiv", "")
    assert "<script>" not in page.text
    assert " style=" not in page.text
    for name, kind in (("main.js", "text/javascript"), ("style.css", "text/css"), ("icon.svg", "image/svg+xml")):
        answer = client.get(f"/static/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)


def test_names_from_data_are_set_as_text():
    scripts = sorted((files("bana.app") / "static").iterdir(), key=str)
    text = "".join(each.read_text() for each in scripts if each.name.endswith((".js", ".html")))
    assert "textContent" in text
    for markup in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval(", "Function("):
        assert markup not in text


@pytest.mark.parametrize("path", ["/", "/api/bench", "/static/main.js", "/static/none.js", "/api/review?image=none"])
def test_every_answer_has_the_headers_that_keep_others_out(client, path):
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8008", "127.0.0.1", "127.0.0.1:80", "localhost:8009", ""]
)
def test_other_names_of_this_machine_are_refused(client, host):
    answer = client.get("/api/bench", headers={"host": host})
    assert answer.status_code == 403
    assert "127.0.0.1 and localhost" in answer.json()["detail"]


def test_localhost_is_answered(client):
    headers = {"host": "localhost:8008", "origin": "http://localhost:8008"}
    assert client.get("/api/bench", headers=headers).status_code == 200
    assert client.post("/api/ahead", json={"images": []}, headers=headers).status_code == 200


@pytest.mark.parametrize("origin", [FOREIGN, "null", "http://127.0.0.1:80", "https://127.0.0.1:8008", "", None])
def test_other_pages_change_nothing(client, bench, origin):
    if origin is None:
        del client.headers["origin"]
    else:
        client.headers["origin"] = origin
    for path, body in (
        ("/api/act", {"image": "a", "revision": 0, "action": {"do": "state", "state": "accepted"}}),
        ("/api/export", {"format": "coco", "which": "not_rejected"}),
        ("/api/ahead", {"images": ["a"]}),
        ("/api/upload?name=a.jpg", {}),
    ):
        assert client.post(path, json=body).status_code == 403
    assert not {"review", "exports", "uploads"} & {path.name for path in bench.folder.iterdir()}


def test_pages_of_the_framework_are_not_served(client):
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "name", ["../server.py", "..%2Fserver.py", "%2e%2e/server.py", "/etc/passwd", "%2Fetc%2Fpasswd", "a%00b"]
)
def test_no_file_is_read_by_its_path(client, name):
    assert client.get(f"/static/{name}").status_code in (400, 404)
    for path in ("photograph", "thumbnail", "review"):
        answer = client.get(f"/api/{path}", params={"image": name})
        assert answer.status_code == 404
        assert "no such image" in answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {"image": "a", "revision": 0, "action": {"do": "format", "disk": "c"}},
        {"image": "a", "revision": 0, "action": {"do": "delete", "key": 0, "extra": 1}},
        {"image": "a", "revision": 0, "action": {"do": "delete"}},
        {"image": "a", "revision": 0, "action": {"do": "delete", "key": 0}, "extra": 1},
        {"image": "a" * 5000, "revision": 0, "action": {"do": "undo"}},
        {"image": "a", "revision": "x", "action": {"do": "undo"}},
        {"image": "a", "revision": 0, "action": {"do": "add", "box": [0, 0, 9], "class_id": 1}},
        {"image": "a", "revision": 0, "action": {"do": "paint", "key": 0, "runs": [-1, 6913]}},
        {"image": "a", "revision": 0, "action": {"do": "paint", "key": 0, "runs": [2**40]}},
        {"image": "a", "revision": 0, "action": {"do": "paint", "key": 0, "runs": [0] * 200_001}},
        {"image": "a", "revision": 0, "action": {"do": "state", "state": "edited"}},
        [],
    ],
)
def test_bodies_are_checked(client, bench, body):
    assert client.post("/api/act", json=body).status_code == 422
    assert bench.review("a").revision == 0


@pytest.mark.parametrize(
    "text",
    ['{"do": NaN', "[" * 100_000, '{"image":"a","revision":0,"action":{"do":"add","box":[NaN,0,9,9],"class_id":1}}'],
)
def test_invalid_json_is_refused(client, text):
    answer = client.post("/api/act", content=text, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)


def test_large_bodies_are_refused(client, bench):
    def pieces():
        for _ in range(MAX_BYTES // 2**20 + 1):
            yield bytes(2**20)

    assert (
        client.post("/api/upload?name=a.jpg", content=b"x", headers={"content-length": "99999999999"}).status_code
        == 413
    )
    assert client.post("/api/upload?name=a.jpg", content=pieces()).status_code == 413  # it does not say how long it is
    assert not (bench.folder / "uploads").exists()


def test_a_stale_action_gets_409_and_an_impossible_one_a_reason(client):
    assert act(client, {"do": "state", "state": "accepted"}).json()["revision"] == 1
    stale = act(client, {"do": "state", "state": "rejected"})
    assert stale.status_code == 409
    impossible = act(client, {"do": "add", "box": [0, 0, 900, 9], "class_id": 1}, revision=1)
    assert impossible.status_code == 422
    assert "lies outside" in impossible.json()["detail"]


def test_a_review_is_told_in_input_order_with_all_that_the_page_draws(client):
    review = client.get("/api/review", params={"image": "d"}).json()
    assert [each["class_id"] for each in review["objects"]] == [2, 3]
    assert [each["box"] for each in review["objects"]] == [[5, 5, 30, 40], [20, 25, 60, 60]]
    assert (review["width"], review["height"], review["revision"]) == (64, 64, 0)
    assert review["state"] == "todo"
    assert not review["can_undo"]
    row = next(row for row in client.get("/api/images").json() if row["image_id"] == "d")
    assert row["boxes"] == 2
    assert row["class_ids"] == [2, 3]


def test_names_that_are_markup_reach_the_page_as_json_alone(client):
    answer = client.post("/api/upload", params={"name": "<img src=x onerror=alert(1)>.txt"}, content=b"x")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.text)["detail"].startswith("<img")


def test_websockets_are_not_answered(client):
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/api/act"):
        pass


def test_the_application_is_made_for_one_port(bench):
    app = create_app(bench, None, 1234)
    assert app.openapi_url is None


def test_at_port_80_the_host_has_no_port(bench):
    app = create_app(bench, Queue(bench), 80)
    client = TestClient(app, base_url="http://127.0.0.1", headers={"origin": "http://127.0.0.1"})
    assert client.get("/api/images").status_code == 200
    assert client.post("/api/ahead", json={"images": []}).status_code == 200
    assert client.get("/api/images", headers={"host": "evil.example"}).status_code == 403


def test_an_image_too_long_for_a_jpeg_file_is_refused_in_words(client, bench):
    bench._records["a"] = replace(bench.record("a"), width=70_000)
    answer = client.get("/api/photograph", params={"image": "a"})
    assert answer.status_code == 422
    assert "has 70000x72 pixels" in answer.json()["detail"]


@pytest.fixture
def reader(bench):
    """A client of a server that only shows."""
    app = create_app(bench, Queue(bench), PORT, read_only=True)
    address = f"http://127.0.0.1:{PORT}"
    return TestClient(app, base_url=address, headers={"origin": address})


def test_a_server_that_only_shows_refuses_changes(reader, bench):
    assert reader.get("/api/bench").json()["read_only"] is True
    refused = [
        act(reader, {"do": "state", "state": "accepted"}),
        reader.post("/api/export", json={"format": "coco", "which": "accepted"}),
        reader.post("/api/upload?name=a.jpg", content=b"x"),
    ]
    for answer in refused:
        assert answer.status_code == 403
        assert answer.json()["detail"].startswith("read-only: ")
    assert reader.post("/api/ahead", json={"images": ["a"]}).status_code == 200
    assert len(reader.get("/api/review?image=b").json()["objects"]) == 2
    assert not (bench.folder / "review").exists()


def test_rows_say_how_sure_the_worst_box_is(client):
    rows = {row["image_id"]: row for row in client.get("/api/images").json()}
    objects = client.get("/api/review?image=b").json()["objects"]
    assert rows["b"]["worst"] == pytest.approx(min(each["confidence"] for each in objects))
    assert rows["b"]["worst"] < rows["b"]["confidence"]
    assert [rows[name]["number"] for name in "abc"] == [0, 1, 2]
    act(client, {"do": "delete", "key": 0}, "b")
    left = client.get("/api/review?image=b").json()["objects"]
    row = next(row for row in client.get("/api/images").json() if row["image_id"] == "b")
    assert row["worst"] == pytest.approx(left[0]["confidence"])
    assert row["number"] == 1


def test_what_was_labeled_first_is_still_there(client):
    before = client.get("/api/review?image=b").json()
    act(client, {"do": "delete", "key": 0}, "b")
    first = client.get("/api/first?image=b").json()
    assert first["objects"] == before["objects"]
    assert len(client.get("/api/review?image=b").json()["objects"]) == 1
