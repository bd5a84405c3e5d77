"""Where our server differs from ezmsg's on purpose. Each entry is shown by the test of its name."""

from typing import NamedTuple


class Fault(NamedTuple):
    """What ezmsg 3.9's graph server does, and what ours does in its place."""

    stock: str
    ours: str


ELSEWHERE = {
    "a connection that never says what it is stays for ever":
        "test_server.test_a_client_that_never_says_what_it_is_is_cut_off",
    "a publisher may withhold its address for ever":
        "test_endpoints.test_a_withheld_address_is_waited_for_a_while_and_by_nobody_else",
    "half a command is waited for for ever": "test_sessions.test_half_a_command_and_then_silence",
    "a segment may have any size": "test_shared_memory.test_a_huge_segment_is_refused_and_the_server_goes_on",
    "stop() waits for idle connections (Python 3.12 on)": "test_server.test_stop_does_not_wait_for_anybody",
    "a subscriber's list may be older than the one before":
        "test_publisher_notices.test_many_changes_meet_in_one_list_that_is_the_newest",
    "an answer that nobody asked for releases an update":
        "test_publisher_notices.test_answers_that_were_not_asked_for_release_nothing",
    "whoever reaches the server can end it": "test_admission.test_shutdown_from_another_machine_is_refused",
    "a profiling interval that is no number raises in the server":
        "test_traces.test_an_interval_that_is_none_is_the_shortest",
    "the end of a lease on what is gone raises in a callback":
        "test_shared_memory.test_a_segment_that_somebody_removed_harms_no_other",
    "half a request raises in the server": "test_sessions.test_half_a_command_and_then_the_end",
    "a wrong number or UUID raises in the server": "test_server.test_wrong_arguments_of_an_opener",
    "every new edge copies the graph":
        "test_single_commands.test_a_connect_takes_no_second_although_the_graph_is_large",
    "a snapshot is made anew each time": "test_snapshots.test_every_change_shows_and_only_what_is_new_is_pickled",
    "each profiling stream walks all samples at each tick": "test_traces.test_a_reader_gets_each_kept_sample_once",
    "memory grows with history up to a limit, then history is lost":
        "test_streams.test_a_slow_reader_gets_everything_and_costs_neither_time_nor_memory",
}
"""Further faults of stock that ours has not, and the test in tests/runtime/server that would fail if it had.

What the protocol itself brings is here as there: a value that a process reported stays in force when it gives the unit
up, until it ends; its event has the time that the process says; INITIAL_SETTINGS tells what was registered, even where
a reported value stays in force; publishers and subscribers are in no stream. The ledger has all of these as they are,
and its own time.
"""

FAULTS = {
    "half_a_command_freezes_all": Fault(
        "reads arguments while it holds the lock of all commands: who withholds one freezes every client",
        "reads each connection by itself, with a deadline",
    ),
    "lengths_are_believed": Fault(
        "waits for as many bytes as any length says, holding the lock",
        "bounds every length before it is believed, and closes",
    ),
    "sync_waits_for_ever": Fault(
        "SYNC waits for a silent publisher without a limit, holding the lock, even when the asker has left",
        "delays the asker alone, for a bounded time, and records who was silent",
    ),
    "silent_subscribers_hold_the_lock": Fault(
        "each subscriber that does not answer costs its whole time, one after the other, in the lock",
        "waits for all at once, and nobody else waits",
    ),
    "a_deaf_process_holds_the_lock": Fault(
        "writes a routed request in the lock: a process that does not read stops every locked command",
        "hands it over and waits outside; too much unread cuts the process off",
    ),
    "stop_waits_for_readers": Fault(
        "stop() blocks for as long as the client of an event stream does not read",
        "stop() returns within two seconds whoever is connected",
    ),
    "stop_notifies_the_dead": Fault(
        "stop() sends updates for every session that ends and waits for answers that nobody reads any more",
        "a run ends for all at once; nobody is told",
    ),
    "pickles_are_opened": Fault(
        "opens any pickle from the network: code of the client's choice runs",
        "reads pickles as data; foreign classes become stand-ins",
    ),
    "bad_metadata_is_complete": Fault(
        "acknowledges metadata that it could not read, and forgets it",
        "answers ERROR and records the refusal",
    ),
    "unknown_commands_are_skipped": Fault(
        "skips one byte of an unknown command and takes its arguments for further commands",
        "closes the connection, since nobody knows where the next command begins",
    ),
    "streams_drop_history": Fault(
        "an event stream keeps 1024 entries and drops the oldest, also of the history that was asked for",
        "tells everything, however slowly it is read",
    ),
    "waiting_sessions_keep_their_edges": Fault(
        "a session that leaves while its request waits keeps its edges until the request has timed out",
        "its edges go at once",
    ),
    "anybody_may_answer": Fault(
        "any process can answer a request that was routed to another, and so destroy it",
        "refuses and records that answer; the request stays open for its owner",
    ),
    "late_answers_satisfy_later_updates": Fault(
        "a subscriber's late answer counts for the update that is awaited next",
        "counts answers: each belongs to its own update",
    ),
    "all_is_gone_at_restart": Fault(
        "persistent edges, history and numbers are gone with the process",
        "persistent edges stand, numbers go on, and after a number means the same across runs",
    ),
    "connect_answers_early": Fault(
        "the one-shot CONNECT answers before subscribers have applied it",
        "answers when they have",
    ),
    "departed_publishers_kill_subscribers": Fault(
        "a channel to a publisher that has just left is an end of file, which ends the subscriber's task for good",
        "gives the address it had: a refused connection, which a subscriber survives",
    ),
    "departures_are_told_to_nobody": Fault(
        "tells nobody that a publisher has left: each message of its that is still queued is an error in a subscriber",
        "tells those who heard it, and nobody waits for them; such messages are passed over",
    ),
    "metadata_changes_are_told_to_nobody": Fault(
        "no event stream says that metadata came or went, and settings with it: a tool shows what is there no more",
        "tells it as a change of the graph that concerns no topic, at which tools look anew",
    ),
    "unread_profiles_are_lost": Fault(
        "samples that a running profiling stream has not had when their process ends are lost",
        "a running stream still gets them",
    ),
    "clients_are_never_forgotten": Fault(
        "keeps an entry for every publisher, subscriber and channel that was ever connected",
        "keeps what is connected",
    ),
    "an_answer_releases_every_update": Fault(
        "with two updates under way to one subscriber, its first answer releases both commands that wait",
        "each command waits until the list that has its change was applied",
    ),
    "dead_segments_can_be_attached": Fault(
        "attaching to a segment that was unlinked answers COMPLETE, with a name that no longer exists",
        "an end of file, as for any unknown name",
    ),
    "bad_numbers_end_sessions": Fault(
        "a timeout or number that is none ends the session, and its edges with it",
        "is answered, and the session goes on",
    ),
    "clearing_tells_once_per_topic": Fault(
        "a subscriber gets the same list once for each topic that lost an edge",
        "gets it once",
    ),
    "settings_name_dead_sessions": Fault(
        "settings reported under a component's key that is not its address name its session after that has ended",
        "a session's settings are forgotten under both names",
    ),
    "bytes_postpone_profiles": Fault(
        "each byte that a client sends on a profiling stream postpones the next batch",
        "bytes there mean nothing",
    ),
}
