"""Numbers of things, and ranges of seqs, as sentences have them."""


def count(number: int, one: str, many: str = "") -> str:
    """``1 edge``, ``3 edges``; ``many``: the plural of a noun that does not only take an s.

    >>> count(1, "process", "processes"), count(26_012, "byte")
    ('1 process', '26,012 bytes')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def seqs_text(first: int, last: int) -> str:
    """``seq 7``, ``seqs 7 to 9``.

    >>> seqs_text(35, 35), seqs_text(35, 38)
    ('seq 35', 'seqs 35 to 38')
    """
    return f"seq {first}" if first == last else f"seqs {first} to {last}"
