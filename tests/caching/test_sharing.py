"""Equal header fields are one object, and what is seen once is soon forgotten."""

from __future__ import annotations

from askonce.caching._sharing import SharedFields


def copy(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    return (bytes(bytearray(name)), bytes(bytearray(value)))


def test_equal_fields_become_one_object_and_count_once() -> None:
    fields = SharedFields()
    first, cost = fields.share((copy(b"content-type", b"text/plain"), copy(b"x", b"1")))
    again, cost_again = fields.share((copy(b"x", b"2"), copy(b"content-type", b"text/plain")))
    assert first == ((b"content-type", b"text/plain"), (b"x", b"1"))
    assert again == ((b"x", b"2"), (b"content-type", b"text/plain"))
    assert again[1] is first[0]
    assert cost_again < cost


def test_order_and_duplicates_stay() -> None:
    fields = ((b"set-cookie", b"a"), (b"a", b"1"), (b"set-cookie", b"a"), (b"set-cookie", b"b"))
    assert SharedFields().share(fields)[0] == fields
    assert SharedFields().share(()) == ((), 0)


def test_what_is_unlike_every_time_does_not_pile_up_nor_push_out_what_is_used() -> None:
    fields = SharedFields()
    (known,), _ = fields.share((copy(b"content-type", b"text/plain"),))
    for number in range(20_000):
        fields.share((copy(b"request-id", b"%d" % number),))
        if number % 400 == 0:
            assert fields.share((copy(b"content-type", b"text/plain"),))[0][0] is known
    assert len(fields._young) + len(fields._old) <= 1024
