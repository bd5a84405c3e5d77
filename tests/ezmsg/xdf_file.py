"""Writes a small recording in XDF, as LabRecorder does: https://github.com/sccn/xdf/wiki/Specifications."""

from __future__ import annotations

import struct
from pathlib import Path

FILE_HEADER, STREAM_HEADER, SAMPLES, STREAM_FOOTER = 1, 2, 3, 6
STREAM_ID = 1


def write_ramp(path: Path, name: str, rows: int, channels: int, rate: float) -> None:
    """One stream of float64 whose row n is n in all channels, at ``rate`` rows a second from second 0 on."""
    begin = (
        f"<?xml version='1.0'?><info><name>{name}</name><type>EEG</type><channel_count>{channels}</channel_count>"
        f"<nominal_srate>{rate}</nominal_srate><channel_format>double64</channel_format><created_at>0</created_at><desc/></info>"
    )
    end = (
        f"<?xml version='1.0'?><info><first_timestamp>0</first_timestamp>"
        f"<last_timestamp>{(rows - 1) / rate}</last_timestamp><sample_count>{rows}</sample_count></info>"
    )
    stamped = (struct.pack(f"<Bd{channels}d", 8, row / rate, *[float(row)] * channels) for row in range(rows))
    stream = struct.pack("<I", STREAM_ID)
    path.write_bytes(
        b"XDF:"
        + chunk(FILE_HEADER, b"<?xml version='1.0'?><info><version>1.0</version></info>")
        + chunk(STREAM_HEADER, stream + begin.encode())
        + chunk(SAMPLES, stream + struct.pack("<BI", 4, rows) + b"".join(stamped))
        + chunk(STREAM_FOOTER, stream + end.encode())
    )


def chunk(tag: int, content: bytes) -> bytes:
    return struct.pack("<BIH", 4, len(content) + 2, tag) + content
