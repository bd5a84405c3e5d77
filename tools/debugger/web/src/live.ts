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
      void ask("openapi.json").catch((error: unknown) => {
        if (error instanceof Refused && error.status === 403) listeners.gone("other");
      });
      waiting = window.setTimeout(open, WAIT_MS[Math.min(tries++, WAIT_MS.length - 1)]);
    };
  };
  open();
  return () => {
    ended = true;
    clearTimeout(waiting);
    source?.close();
  };
}
