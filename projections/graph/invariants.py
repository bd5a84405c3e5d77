"""The invariants of a graph state, asserted one table against another."""

from typing import Any

from ezmsg.ledger.projections.graph.tables import RECORDS, GraphTables


def check(state: GraphTables) -> None:
    """Assert every invariant of ``state``; the AssertionError says what is broken. Cost: O(state)."""
    state.ownership.check()
    _check_owners(state)
    _check_ids(state)
    _check_components(state)
    _check_units(state)
    _check_settings(state)
    _check_endpoints(state)
    _check_requests(state)


def _check_owners(state: GraphTables) -> None:
    for edge, owners in state.ownership.edges():
        strangers = [owner for owner in owners if owner is not None and owner not in state.sessions]
        assert not strangers, f"{edge} is held by {strangers}, which are not open"
    owners_known = state.ownership.known()
    assert owners_known == {None, *state.sessions}, (
        f"open sessions are {set(state.sessions)}, edges can be held by {owners_known}"
    )


def _check_ids(state: GraphTables) -> None:
    tables: dict[str, dict[int, Any]] = {name: getattr(state, name) for name in RECORDS.values()}
    seen: dict[int, str] = {}
    for name, table in tables.items():
        for key in table:
            assert 1 <= key <= state.seq, f"{name} has id {key}, not a seq up to {state.seq}"
            assert key not in seen, f"id {key} is in {name} and in {seen[key]}"
            seen[key] = name
    named = (tables["sessions"], tables["processes"], tables["endpoints"])
    uuids = [record.uuid for records in named for record in records.values()]
    assert len(uuids) == len(set(uuids)), f"two things share a UUID: {sorted(uuids)}"


def _check_components(state: GraphTables) -> None:
    assert set(state.registrations) <= set(state.sessions), "a registration outlived its session"
    expected = {key: session for session, held in state.registrations.items() for key in held.components}
    assert expected == state.components, f"components differ: {expected} registered, {state.components} indexed"


def _check_units(state: GraphTables) -> None:
    expected = {unit: process for process, record in state.processes.items() for unit in record.units}
    assert expected == state.units, f"units differ: {expected} owned, {state.units} indexed"
    for process, record in state.processes.items():
        assert list(record.units) == sorted(set(record.units)), f"process {process} has units {record.units}"


def _check_settings(state: GraphTables) -> None:
    ranks = [record.rank for record in state.settings.values()]
    assert ranks == sorted(set(ranks)), f"settings are not in the order of their ranks: {ranks}"
    names = {
        session: {name for key, form in held.components.items() for name in (key, form["address"])}
        for session, held in state.registrations.items()
    }
    for address, record in state.settings.items():
        assert record.session is not None or record.process is not None, f"the setting of {address} belongs to nobody"
        assert record.session is None or address in names.get(record.session, ()), (
            f"{address}: no open session {record.session} registers it: {record}"
        )
        assert record.process is None or record.process in state.processes, f"{address}: its process is gone: {record}"


def _check_endpoints(state: GraphTables) -> None:
    for endpoint, record in state.endpoints.items():
        assert (record.publisher is None) == (record.kind != "channel"), f"endpoint {endpoint}: {record}"
        assert not record.stalled or record.kind == "subscriber", f"endpoint {endpoint} stalled but is a {record.kind}"


def _check_requests(state: GraphTables) -> None:
    for request, record in state.requests.items():
        assert record.session in state.sessions, f"request {request}: its session is gone: {record}"
        assert record.process is None or record.process in state.processes, (
            f"request {request}: its process is gone: {record}"
        )
