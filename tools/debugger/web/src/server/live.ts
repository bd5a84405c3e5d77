// What comes into the ledger while the page is open. A stream that breaks is opened again by hand: one error from the
// server ends an EventSource for good.
import { Refused, address, ask } from "./api";
import type { Events, Status } from "./shapes";

const WAIT_MS = [500, 1000, 2000, 4000, 5000];

export interface Listeners {
  status(status: Status): void;
  events(piece: Events): void;
  /** "waiting": nobody answers; "other": another server does, with another token. */
  gone(how: "waiting" | "other" | null): void;
}

export function listen(after: () => number, listeners: Listeners): () => void {
  let source: EventSource | null = null;
  let tries = 0;
  let waiting = 0;
  let ended = false;

  const open = () => {
    source = new EventSource(address("live", { after: after() }));
    source.onopen = () => {
      tries = 0;
      listeners.gone(null);
    };
    source.addEventListener("status", (event) => listeners.status(JSON.parse((event as MessageEvent<string>).data)));
    source.addEventListener("events", (event) => listeners.events(JSON.parse((event as MessageEvent<string>).data)));
    source.onerror = () => {
      source?.close();
      if (ended) return;
      listeners.gone("waiting");
      waiting = window.setTimeout(again, WAIT_MS[Math.min(tries++, WAIT_MS.length - 1)]);
    };
  };
  /** An EventSource does not tell why it failed: a server that knows another token will never answer this page. */
  const again = async () => {
    try {
      await ask("openapi.json");
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (ended) return;
      if (error.status === 403) return listeners.gone("other");
      waiting = window.setTimeout(again, WAIT_MS[Math.min(tries++, WAIT_MS.length - 1)]);
      return;
    }
    if (!ended) open();
  };

  open();
  return () => {
    ended = true;
    clearTimeout(waiting);
    source?.close();
  };
}
