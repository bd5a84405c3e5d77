"""Numbers of things, ranges of seqs, and sizes, as sentences have them."""


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


def size_text(number: int) -> str:
    """``1.5 MB``: a number of bytes with three digits, in decimal units.

    >>> size_text(999), size_text(1_500_000)
    ('999 bytes', '1.5 MB')
    """
    if number < 1000:
        return f"{number} bytes"
    value = float(number)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.5 or unit == "TB":
            break
    return f"{value:.3g} {unit}" if value < 999.5 else f"{value:.0f} {unit}"
