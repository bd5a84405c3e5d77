// What is shown: the moment, the pin, the lens, the selection. The address of the page says the same.
import { useSyncExternalStore } from "react";

export type Lens = "wiring" | "owner" | "settings" | "process";
export const LENSES: Lens[] = ["wiring", "owner", "settings", "process"];

export interface View {
  at: number;
  /** A moment that is compared with; of the other ledger, when `pinOther`. */
  pin: number | null;
  pinOther: boolean;
  lens: Lens;
  /** As the command line names it: "A -> B", "unit U", "topic T", "session 12", "process 7", "collection C". */
  select: string | null;
  follow: boolean;
  playing: boolean;
  speed: number;
  axis: "seq" | "time";
  /** The stretch of seqs that the timeline shows. */
  window: [number, number] | null;
  ask: string;
  /** A path that is shown: "A -> B", or "A ~> B" through units. */
  path: string;
  events: string;
  collapsed: readonly string[];
  ghosts: boolean;
}

let view: View = {
  at: 0,
  pin: null,
  pinOther: false,
  lens: "wiring",
  select: null,
  follow: false,
  playing: false,
  speed: 4,
  axis: "seq",
  window: null,
  ask: "",
  path: "",
  events: "",
  collapsed: [],
  ghosts: true,
};

type Listener = (now: View, before: View) => void;
const listeners = new Set<Listener>();

export const get = (): View => view;

export function set(change: Partial<View>): void {
  const before = view;
  view = { ...view, ...change };
  for (const listener of listeners) listener(view, before);
}

export function subscribe(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useView<T>(pick: (view: View) => T): T {
  return useSyncExternalStore(subscribe as (listener: () => void) => () => void, () => pick(view));
}

// --- the address ----------------------------------------------------------------------------------------------------

const MIRRORED_MS = 200;
let mirroring = 0;

export function fromAddress(): { at: string | null } & Partial<View> {
  const query = new URLSearchParams(location.search);
  const number = (name: string) => {
    const text = query.get(name);
    return text !== null && /^\d+$/.test(text) ? Number(text) : null;
  };
  const change: Partial<View> = { pin: number("pin"), select: query.get("select") };
  const there = /^other:(\d+)$/.exec(query.get("pin") ?? "");
  if (there) Object.assign(change, { pin: Number(there[1]), pinOther: true });
  const lens = query.get("lens") as Lens | null;
  if (lens && LENSES.includes(lens)) change.lens = lens;
  if (query.get("axis") === "time") change.axis = "time";
  const [from, to] = [number("from"), number("to")];
  if (from !== null && to !== null && to > from) change.window = [from, to];
  change.ask = query.get("ask") ?? "";
  change.path = query.get("path") ?? "";
  change.events = query.get("events") ?? "";
  change.collapsed = query.getAll("collapsed");
  if (query.get("ghosts") === "0") change.ghosts = false;
  return { ...change, at: query.get("at") } as ReturnType<typeof fromAddress>;
}

export function query(now: View, following: boolean): string {
  const out = new URLSearchParams();
  if (!following) out.set("at", String(now.at));
  if (now.pin !== null) out.set("pin", `${now.pinOther ? "other:" : ""}${now.pin}`);
  if (now.select) out.set("select", now.select);
  if (now.lens !== "wiring") out.set("lens", now.lens);
  if (now.axis === "time") out.set("axis", "time");
  if (now.window) {
    out.set("from", String(now.window[0]));
    out.set("to", String(now.window[1]));
  }
  if (now.ask) out.set("ask", now.ask);
  if (now.path) out.set("path", now.path);
  if (now.events) out.set("events", now.events);
  for (const each of now.collapsed) out.append("collapsed", each);
  if (!now.ghosts) out.set("ghosts", "0");
  const text = out.toString();
  return text ? `?${text}` : "";
}

export function mirrorAddress(): void {
  subscribe((now) => {
    clearTimeout(mirroring);
    mirroring = window.setTimeout(() => {
      history.replaceState(null, "", `${location.pathname}${query(now, now.follow)}`);
    }, MIRRORED_MS);
  });
}
