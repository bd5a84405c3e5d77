"""Where our server differs from ezmsg's on purpose. Each entry is shown by the test of its name."""

from typing import NamedTuple


class Fault(NamedTuple):
    """What ezmsg 3.9's graph server does, and what ours does in its place."""

    stock: str
    ours: str


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
