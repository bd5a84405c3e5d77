// Moving through time: steps, steps of what is selected, play, follow.
import { model } from "./model";
import { parts } from "./subject";
import { get, set } from "../store";

const clamp = (seq: number) => Math.max(model.ledger.first - 1, Math.min(model.history.head, seq));

/** Go to a moment. Going back pauses following. */
export function go(seq: number): void {
  const at = clamp(Math.round(seq));
  set({ at, follow: get().follow && at === model.history.head });
}

export function step(by: number): void {
  set({ playing: false });
  go(get().at + by);
}

/** The seqs at which what is selected changes; of nothing selected, every event is one. */
export function changesOfSelection(): number[] | null {
  const { select } = get();
  if (!select) return null;
  const { history, drawing } = model;
  const out = new Set<number>();
  const note = (born: number, died: number) => {
    out.add(born);
    if (died <= history.head) out.add(died);
  };
  const place = history.edgePlace(select);
  const [kind, name] = parts(select);
  const edges = new Set<number>();
  if (place !== undefined) edges.add(place);
  else if (kind === "topic" || kind === "unit" || kind === "collection") {
    const box = drawing?.byAddress.get(name);
    const topics = new Set(kind === "topic" ? [name] : (box?.ports ?? []).map((port) => port.topic));
    const wanted = new Set([...topics].map((topic) => history.topicPlace.get(topic)));
    for (let edge = 0; edge < history.edgeTo.length; edge++) {
      if (wanted.has(history.edgeFrom.data[edge]) || wanted.has(history.edgeTo.data[edge])) edges.add(edge);
    }
  }
  const session = kind === "session" ? Number(name) : -1;
  for (let i = 0; i < history.edge.length; i++) {
    if (edges.has(history.edge.data[i]) || history.owner.data[i] === session) note(history.born.data[i], history.died.data[i]);
  }
  for (let i = 0; i < history.factKey.length; i++) {
    const [factKind, factName] = history.keys[history.factKey.data[i]];
    const value = history.values[history.factValue.data[i]] as unknown[];
    const isIt =
      (String(factName) === name && (factKind === kind || (kind === "unit" && factKind === "component"))) ||
      (kind === "topic" && factKind === "endpoint" && value[1] === name);
    if (isIt) note(history.factBorn.data[i], history.factDied.data[i]);
  }
  if (kind === "unit" || kind === "setting") for (const seq of history.settingChanges(name)) out.add(seq);
  return [...out].sort((a, b) => a - b);
}

/** To the next (1) or previous (-1) change of the selection. */
export function stepSelection(direction: 1 | -1): void {
  const changes = changesOfSelection();
  if (!changes) return step(direction);
  set({ playing: false });
  const at = get().at;
  const next = direction > 0 ? changes.find((seq) => seq > at) : changes.filter((seq) => seq < at).pop();
  if (next !== undefined) go(next);
}

export function follow(on: boolean): void {
  set(on ? { follow: true, playing: false, at: model.history.head } : { follow: false });
}

export function pin(): void {
  const { pin: before, pinOther, at } = get();
  set({ pin: before === null || pinOther ? at : null, pinOther: false });
}

/** Back to now: no pin, the last event, following when somebody records. */
export function toNow(): void {
  set({ playing: false, at: model.history.head, follow: model.status?.written ?? false });
}

let playing = 0;

/** Events a second: the speed of the store, from one event to the next. */
export function play(on: boolean): void {
  clearInterval(playing);
  if (on && get().at >= model.history.head) go(model.ledger.first - 1);
  set({ playing: on, follow: false });
  if (!on) return;
  const TICK_MS = 50;
  let due = 0;
  playing = window.setInterval(() => {
    if (!get().playing) return clearInterval(playing);
    due += (get().speed * TICK_MS) / 1000;
    const whole = Math.floor(due);
    if (!whole) return;
    due -= whole;
    go(get().at + whole);
    if (get().at >= model.history.head) play(false);
  }, TICK_MS);
}
