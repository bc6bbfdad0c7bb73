"""Where two readers could disagree about where a request ends, it is refused, and what follows is never answered.

Each case hides a request for /hidden. Whoever reads its head in one of two ways takes that for a part of a body, in the
other for a request of its own, which would be answered with 404.
"""

import re

import pytest
from served import GOOD, pixels, sent

pytestmark = pytest.mark.slow

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
NEXT = b"GET /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
POST = b"POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
GET = b"GET /ping HTTP/1.1\r\nHost: a\r\n"
PIECES = b"Transfer-Encoding: chunked\r\n"
NO_PIECE = b"0\r\n\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(HIDDEN)
BOTH = b"Content-Length: %d\r\n" % len(NO_PIECE + HIDDEN)


def with_length(line):
    """A request whose body hides behind `line`, for who does not understand that line as one of the head."""
    return POST + line + BOTH + b"\r\n" + NO_PIECE + HIDDEN


def in_pieces(pieces):
    return POST + PIECES + b"\r\n" + pieces + HIDDEN


def of_length(text):
    return POST + b"Content-Length: " + text + b"\r\n\r\n" + HIDDEN


REFUSED = {
    "a space before the colon": with_length(b"Transfer-Encoding : chunked\r\n"),
    "a tab before the colon": with_length(b"Transfer-Encoding\t: chunked\r\n"),
    "a junk line before the head": b"junk\r\n" + POST + PIECES + b"\r\n" + NO_PIECE + HIDDEN,
    "a junk line in the head": with_length(b"junk\r\n" + PIECES),
    "a length, then pieces": POST + BOTH + PIECES + b"\r\n" + NO_PIECE + HIDDEN,
    "pieces, then a length": with_length(PIECES),
    "both where no body belongs": GET + BOTH + PIECES + b"\r\n" + NO_PIECE + HIDDEN,
    "a folded line": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + NO_PIECE + HIDDEN,
    "a folded line and a length": with_length(b"X: y\r\n Transfer-Encoding: chunked\r\n"),
    "a line that ends in a line feed": POST + b"X: y\nTransfer-Encoding: chunked\r\n\r\n" + NO_PIECE + HIDDEN,
    "a head that ends in a line feed": GET + b"\n" + HIDDEN,
    "line feeds alone": GET.replace(b"\r\n", b"\n") + b"\n" + HIDDEN,
    "a carriage return alone": with_length(b"X: y\rTransfer-Encoding: chunked\r\n"),
    "a NUL in a name": with_length(b"Transfer-Encoding\0: chunked\r\n"),
    "a vertical tab": with_length(b"Transfer-Encoding:\x0bchunked\r\n"),
    "another coding": with_length(b"Transfer-Encoding: xchunked\r\n"),
    "two codings": with_length(b"Transfer-Encoding: chunked, identity\r\n"),
    "a coding beneath": in_pieces(NO_PIECE).replace(b"chunked", b"gzip, chunked"),
    "pieces twice": in_pieces(NO_PIECE).replace(PIECES, 2 * PIECES),
    "a quoted coding": with_length(b'Transfer-Encoding: "chunked"\r\n'),
    "two lengths": POST + b"Content-Length: 0\r\n" + LENGTH + b"\r\n" + HIDDEN,
    "a list of lengths": of_length(b"0, %d" % len(HIDDEN)),
    "a signed length": of_length(b"+%d" % len(HIDDEN)),
    "a length in base 16": of_length(b"0x22"),
    "a length with an underscore": of_length(b"3_4"),
    "a length with a space": of_length(b"3 4"),
    "no length": of_length(b""),
    "a length under another name": POST + LENGTH.replace(b"-", b"_") + b"\r\n" + HIDDEN,
    "a piece in base 16": in_pieces(b"0x0\r\n\r\n"),
    "a signed piece": in_pieces(b"+0\r\n\r\n"),
    "a negative piece": in_pieces(b"-1\r\n\r\n"),
    "a piece of 2⁶⁴ bytes": in_pieces(b"10000000000000000\r\n\r\n"),
    "a piece longer than it says": in_pieces(b"2\r\n{}XX0\r\n\r\n"),
    "a piece that ends in a line feed": in_pieces(b"2\n{}\r\n0\r\n\r\n"),
    "a line feed in what a piece adds": in_pieces(b"0;a\nb\r\n\r\n"),
    "no version": b"GET /ping\r\n" + HIDDEN,
    "another version": POST.replace(b"1.1", b"2.0") + LENGTH + b"\r\n" + HIDDEN,
    "two hosts": GET + b"Host: b\r\n\r\n" + HIDDEN,
    "a tunnel": b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n" + HIDDEN,
}
# What RFC 9112 lets nobody read in two ways. 404 is the answer to the hidden request, where it is one.
READ = {
    "a body that nobody wants": (GET + LENGTH + b"\r\n" + HIDDEN, [200, 200]),
    "pieces that nobody wants": (GET + PIECES + b"\r\n%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n0\r\n\r\n", [200, 200]),
    "a body of HEAD": (GET.replace(b"GET", b"HEAD") + LENGTH + b"\r\n" + HIDDEN, [200, 200]),
    "a body that is no JSON": (of_length(b"%d" % len(HIDDEN)), [400, 200]),
    "the same length twice": (POST + 2 * LENGTH + b"\r\n" + HIDDEN, [400, 200]),
    "pieces, and then a request": (in_pieces(NO_PIECE), [400, 404]),
    "pieces in capitals": (in_pieces(NO_PIECE).replace(PIECES, PIECES.upper()), [400, 404]),
    "what a piece adds": (in_pieces(b"0;a=b\r\n\r\n"), [400, 404]),
    "a length behind the pieces": (in_pieces(b"0\r\nContent-Length: 99\r\n\r\n"), [400, 404]),
    "pieces before HTTP/1.1": (in_pieces(NO_PIECE).replace(b"1.1", b"1.0", 1), [400]),
    "a change of protocol": (GET + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + HIDDEN, [200, 404]),
}


def statuses(port, data):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", sent(port, data))]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
def test_what_two_readers_could_read_differently_is_refused_and_ends_the_connection(port, raw):
    (status,) = statuses(port, raw + NEXT)
    assert status in (400, 404, 408, 411)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("raw", "expected"), READ.values(), ids=READ)
def test_what_is_clear_is_read_in_one_way(port, raw, expected):
    assert statuses(port, raw + NEXT) == expected


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
def test_it_is_refused_too_behind_a_good_request_and_in_two_parts(port, raw):
    body = pixels(GOOD).encode()
    good = POST + b"Content-Length: %d\r\n\r\n" % len(body) + body
    first, second = statuses(port, [good + raw[:40], raw[40:] + NEXT])
    assert first == 200
    assert second in (400, 404, 408, 411)
