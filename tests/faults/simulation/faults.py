"""Faults: the errors with which each call to the operating system can fail, and the injection of one of them."""

import errno
import os

import msgspec

ERRORS: dict[str, tuple[int, ...]] = {
    "write": (errno.ENOSPC, errno.EIO, errno.EINTR, errno.EROFS),
    "sync": (errno.EIO, errno.ENOSPC, errno.EINTR),
    "truncate": (errno.EIO, errno.EROFS),
    "open": (errno.EMFILE, errno.EIO, errno.EROFS),
    "create": (errno.EMFILE, errno.ENOSPC, errno.EROFS),
    "open_lock": (errno.EMFILE, errno.EROFS),
    "duplicate": (errno.EMFILE,),
    "link": (errno.EIO, errno.ENOSPC),
    "unlink": (errno.EIO,),
    "make_folder": (errno.ENOSPC, errno.EROFS),
    "names": (errno.EIO, errno.EMFILE),
    "replace": (errno.EIO,),
    "remove": (errno.EIO, errno.EROFS),
    "sync_folder": (errno.EIO,),
    "lock": (errno.ENOLCK,),
    "read": (errno.EIO,),
    "size": (errno.EIO,),
    "kind": (errno.EACCES,),
    "identity": (errno.EIO,),
    "modified": (errno.EIO,),
    "touch": (errno.EROFS,),
}
"""The errors of each call, by its name. Python itself goes on after EINTR, except where a signal's handler raised."""


class Fault(msgspec.Struct, frozen=True):
    """A call that fails: from the ``nth`` of its kind on (1: the next), so many ``times``, with the errno ``error``."""

    call: str
    nth: int
    error: int
    times: int = 1


class Injection:
    """A fault in force: raises the error when its call comes, and counts how often it did."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.seen = 0
        self.raised = 0

    def __call__(self, call: str, about: str) -> None:
        if call != self.fault.call:
            return
        self.seen += 1
        if self.fault.nth <= self.seen < self.fault.nth + self.fault.times:
            self.raised += 1
            raise OSError(self.fault.error, os.strerror(self.fault.error))
