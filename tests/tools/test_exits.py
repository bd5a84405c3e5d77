"""Which error ends in which exit code."""

import pytest

from ezmsg.ledger import errors
from ezmsg.ledger.errors import LedgerError
from ezmsg.ledger.runtime.address import CannotListen
from ezmsg.ledger.tools import exits


def every(cls: type[LedgerError]) -> list[type[LedgerError]]:
    return [cls, *(below for sub in cls.__subclasses__() for below in every(sub))]


@pytest.mark.parametrize("cls", every(LedgerError))
def test_no_error_that_is_raised_on_purpose_counts_as_a_fault(cls: type[LedgerError]) -> None:
    assert exits.code_of(cls.__new__(cls)) not in (exits.OK, exits.FAULT)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.NotALedger(""), exits.NOT_A_LEDGER),
        (errors.NewerFormat(""), exits.NOT_A_LEDGER),
        (errors.DamagedLedger("", offset=1, seq=1), exits.DAMAGED),
        (errors.HistoryChanged(""), exits.DAMAGED),
        (errors.InvalidEvent(""), exits.DAMAGED),
        (errors.OutOfOrder(""), exits.DAMAGED),
        (errors.UnknownEvents(""), exits.NOT_A_LEDGER),
        (errors.LedgerLocked(""), exits.LOCKED),
        (errors.WriteFailed(""), exits.DISK),
        (errors.LogError(""), exits.DISK),
        (errors.CycleError("a", "b", ("b", "a")), exits.NO),
        (errors.UnknownMoment(""), exits.USAGE),
        (exits.Misuse(""), exits.USAGE),
        (CannotListen(""), exits.USAGE),
        (LedgerError(""), exits.NO),
        (PermissionError(13, "no"), exits.DISK),
        (ValueError(""), exits.FAULT),
    ],
)
def test_the_code_of_an_error(error: Exception, code: int) -> None:
    assert exits.code_of(error) == code


def test_an_error_out_of_another_process_counts_as_what_it_was_there() -> None:
    class Relayed(LedgerError):
        kind = "LedgerLocked"

    assert exits.code_of(Relayed("")) == exits.LOCKED
    Relayed.kind = "WriteFailed"
    assert exits.code_of(Relayed("")) == exits.DISK
    Relayed.kind = "CannotListen"
    assert exits.code_of(Relayed("")) == exits.USAGE
    Relayed.kind = "SomethingElse"
    assert exits.code_of(Relayed("")) == exits.NO
