"""The guard in front of the application, called as a server calls it."""

import asyncio

import pytest
from starlette.requests import Request
from starlette.responses import Response

from bana.app.guard import Guard
from bana.app.server import create_app

PORT = 8008
ADDRESS = f"127.0.0.1:{PORT}"


async def length(scope, receive, send):
    """An application that answers how long the body is."""
    body = await Request(scope, receive).body()
    await Response(str(len(body)))(scope, receive, send)


def scope(path="/api/upload", method="POST", **headers):
    given = {"host": ADDRESS, "origin": f"http://{ADDRESS}"} | headers
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items()]
    return {"type": "http", "path": path, "method": method, "headers": pairs, "query_string": b"name=a.jpg"}


def asked(app, scope, messages):
    """What is sent to a client that sends some messages and then nothing more: (status, body), or None."""
    sent, left = [], list(messages)

    async def receive():
        if not left:
            await asyncio.sleep(60)
        return left.pop(0)

    async def send(message):
        sent.append(message)

    asyncio.run(asyncio.wait_for(app(scope, receive, send), 5))
    return (sent[0]["status"], b"".join(each.get("body", b"") for each in sent)) if sent else None


def piece(body, more=True):
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_in_pieces_arrives_as_a_whole():
    assert asked(Guard(length, PORT, 10, 1.0), scope(), [piece(b"abc"), piece(b"de", False)]) == (200, b"5")


def test_a_request_that_stays_half_sent_is_ended():
    status, body = asked(Guard(length, PORT, 10, 0.05), scope(), [piece(b"abc")])
    assert status == 408
    assert b"did not arrive as a whole" in body


def test_the_time_of_a_body_does_not_end_an_answer_that_takes_longer():
    async def slow(scope, receive, send):
        await Request(scope, receive).body()
        await asyncio.sleep(0.2)
        await Response("done")(scope, receive, send)

    assert asked(Guard(slow, PORT, 10, 0.05), scope(), [piece(b"abc", False)]) == (200, b"done")


def test_a_client_that_leaves_within_its_body_is_no_error(bench):
    """An exception would come out of the application, and the server would print its traceback."""
    messages = [piece(b"abc"), {"type": "http.disconnect"}]
    assert asked(create_app(bench, None, PORT), scope(), messages) is None


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("path", ["/api/review", "/api/photograph", "/api/images"])
def test_other_pages_do_not_make_it_compute(path, site):
    status, body = asked(Guard(length, PORT, 10), scope(path, "GET", sec_fetch_site=site), [piece(b"", False)])
    assert status == 403
    assert b"own page alone" in body


@pytest.mark.parametrize(
    ("path", "site"), [("/api/review", "same-origin"), ("/api/review", "none"), ("/", "cross-site")]
)
def test_its_own_page_a_person_and_a_link_to_it_are_answered(path, site):
    found = asked(Guard(length, PORT, 10), scope(path, "GET", sec_fetch_site=site), [piece(b"", False)])
    assert found == (200, b"0")


def test_uploads_beyond_two_wait_unread(bench):
    """Five at once, none of which ends: the bodies of two alone are read."""
    app, begun = create_app(bench, None, PORT), []

    async def upload(number):
        async def receive():
            begun.append(number)
            await asyncio.sleep(60)

        async def send(message):
            pass

        await app(scope(), receive, send)

    async def all_at_once():
        tasks = [asyncio.create_task(upload(number)) for number in range(5)]
        await asyncio.sleep(0.3)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(all_at_once())
    assert len(set(begun)) == 2
