"""The wire primitives: what is written, and what commands and errors are called."""

from ezmsg.core import netprotocol
from hypothesis import given
from hypothesis import strategies as st

from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.runtime.server.wire.protocol import (
    BadText,
    Command,
    Late,
    Malformed,
    TooLong,
    Truncated,
    WireError,
    command_name,
    encode_str,
)


def test_the_command_bytes_are_ezmsgs() -> None:
    theirs = {command.name: command.value for command in netprotocol.Command}
    ours = {name: value for name, value in vars(Command).items() if isinstance(value, bytes)}
    assert ours.pop("PRIVATE") == b"\xf0"
    assert ours == {name: theirs[name] for name in ours}
    data_plane = {"TX_LOCAL", "TX_SHM", "TX_TCP", "RX_ACK", "SHM_OK", "SHM_ATTACH_FAILED"}
    data_plane_since_3_10 = {"ELIDE_OK", "AXIS_RESEND"}
    assert theirs.keys() - ours.keys() - data_plane_since_3_10 == data_plane


def test_commands_have_names() -> None:
    assert command_name(Command.SESSION_CONNECT) == "SESSION_CONNECT"
    assert command_name(b"\x2a") == "0x2a"
    assert command_name(b"") == "opener"


@given(st.text().filter(lambda text: text.isprintable() or text.isascii()))
def test_what_is_written_is_what_ezmsg_writes(text: str) -> None:
    assert encode_str(text) == netprotocol.encode_str(text)


def test_the_errors_are_one_tree() -> None:
    assert issubclass(WireError, Malformed)
    assert issubclass(Malformed, LedgerError)
    for error in (Truncated, TooLong, BadText, Late):
        assert issubclass(error, WireError)
    assert (Truncated("").in_sync, Late("").in_sync, BadText("").in_sync) == (False, False, True)
