"""Maps the four rooms of the repository to one namespace; everything else is in pyproject.toml."""

from setuptools import find_packages, setup

ROOMS = {
    "ezmsg.ledger": "ledger",
    "ezmsg.ledger.projections": "projections",
    "ezmsg.ledger.runtime": "runtime",
    "ezmsg.ledger.tools": "tools",
}


def packages() -> list[str]:
    """Every package below the rooms, found on disk, so that none can be forgotten."""
    return [
        name
        for room, folder in ROOMS.items()
        for name in (room, *(f"{room}.{sub}" for sub in find_packages(folder)))
    ]


setup(
    packages=packages(),
    package_dir=ROOMS,
    package_data={"ezmsg.ledger": ["py.typed"], "ezmsg.ledger.tools.debugger": ["page/*"]},
)
