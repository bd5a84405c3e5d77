"""Commands beyond the one ledger: data files, live servers, other programs' streams, and fleets."""
