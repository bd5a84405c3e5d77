// Events in sentences, bursts in one line. A virtual list: only what is seen is an element; more is asked for where one
// scrolls to. A step asks for nothing while the moment is within what is there.
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";
import { Refused, ask } from "../server/api";
import { Refusal } from "./parts";
import { model } from "../model/model";
import { go } from "../model/moves";
import type { Events as Piece, Line } from "../server/shapes";
import { get, set, subscribe, useView } from "../store";
import { clock } from "../times";

const ROW = 20;
const PIECE = 200;
/** Lines that are kept; the farther end is let go. */
const KEPT_MAX = 6000;
const REST_MS = 250;
/** Events that are asked for at once to fill the list: bursts make few lines of many. */
const FILLED = 1000;

interface Loaded {
  lines: Line[];
  /** Everything after event `after` and up to `upto` is among the lines. */
  after: number;
  upto: number;
}

export function Events({ fresh }: { fresh: Piece | null }) {
  const filter = useView((view) => view.events);
  const [fold, setFold] = useState(true);
  const [loaded, setLoaded] = useState<Loaded | null>(null);
  const [refused, setRefused] = useState<Refused | null>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(200);
  const holder = useRef<HTMLDivElement>(null);
  const busy = useRef(false);
  const now = useRef<Loaded | null>(null);
  now.current = loaded;
  const wanted = useRef<number | null>(null);

  useLayoutEffect(() => {
    if (wanted.current !== null) holder.current!.scrollTop = wanted.current;
    wanted.current = null;
  }, [loaded]);

  const load = useCallback(
    async (after: number, limit = PIECE): Promise<Piece | null> => {
      busy.current = true;
      try {
        const found = await ask<Piece>("events", { after: Math.max(0, after), limit, fold, ...filters(filter) });
        setRefused(null);
        return found;
      } catch (error) {
        if (error instanceof Refused) setRefused(error);
        return null;
      } finally {
        busy.current = false;
      }
    },
    [filter, fold],
  );

  const around = useCallback(
    async (seq: number) => {
      const after = filter ? 0 : Math.max(0, seq - PIECE / 2);
      const found = await load(after);
      if (found) {
        setLoaded({ lines: found.lines, after: found.after, upto: found.next ?? model.history.head });
        const place = found.lines.findIndex((line) => line.last >= seq);
        wanted.current = Math.max(0, (place < 0 ? found.lines.length : place) - 3) * ROW;
      } else setLoaded({ lines: [], after, upto: after });
    },
    [load, filter],
  );

  useEffect(() => {
    void around(get().at);
  }, [around]);

  useEffect(() => {
    const sizes = new ResizeObserver(() => setHeight(holder.current!.clientHeight));
    sizes.observe(holder.current!);
    return () => sizes.disconnect();
  }, []);

  // bursts in one line leave room: load on, first what comes after, then what was before
  useEffect(() => {
    if (!loaded || busy.current || loaded.lines.length * ROW > height + ROW || loaded.lines.length >= KEPT_MAX) return;
    let stale = false;
    const later = loaded.upto < model.history.head;
    const after = later ? loaded.upto : Math.max(model.ledger.first - 1, loaded.after - FILLED);
    if (!later && (filter || loaded.after <= after)) return;
    void load(after, later ? FILLED : loaded.after - after).then((found) => {
      if (!found || stale) return;
      const upto = found.next ?? model.history.head;
      if (later) return setLoaded({ lines: [...loaded.lines, ...found.lines], after: loaded.after, upto });
      wanted.current = (loaded.lines.length + found.lines.length) * ROW;
      setLoaded({ lines: [...found.lines, ...loaded.lines], after, upto: loaded.upto });
    });
    return () => void (stale = true);
  }, [loaded, height, filter, load]);

  // the moment has come to rest beyond what is loaded: show what is around it
  useEffect(() => {
    let resting = 0;
    const stop = subscribe((view, before) => {
      if (view.at === before.at) return;
      clearTimeout(resting);
      const there = now.current;
      if (!there || filter || view.follow || (view.at > there.after && view.at <= there.upto)) return;
      resting = window.setTimeout(() => void around(get().at), REST_MS);
    });
    return () => (stop(), clearTimeout(resting));
  }, [around, filter]);

  // the moment moves within what is loaded: scroll to it; beyond, wait for the list to be asked
  useEffect(
    () =>
      subscribe((view, before) => {
        if (view.at === before.at || !now.current) return;
        const { lines } = now.current;
        const place = lines.findIndex((line) => line.last >= view.at);
        const element = holder.current!;
        if (place < 0) return;
        const y = place * ROW;
        if (y < element.scrollTop || y > element.scrollTop + element.clientHeight - ROW) element.scrollTop = Math.max(0, y - element.clientHeight / 2);
      }),
    [],
  );

  useEffect(() => {
    if (!fresh || filter || !now.current || now.current.upto < fresh.after) return;
    setLoaded((before) => {
      if (!before) return before;
      const lines = [...before.lines, ...fresh.lines.filter((line) => line.first > before.upto)].slice(-KEPT_MAX);
      return { lines, after: before.after, upto: Math.max(before.upto, fresh.upto) };
    });
  }, [fresh, filter]);

  const scrolled = async () => {
    const element = holder.current!;
    setTop(element.scrollTop);
    const there = now.current;
    if (busy.current || !there) return;
    if (element.scrollTop + element.clientHeight > there.lines.length * ROW - 400 && there.upto < model.history.head) {
      const found = await load(there.upto);
      if (found) setLoaded({ lines: [...there.lines, ...found.lines].slice(-KEPT_MAX), after: there.after, upto: found.next ?? model.history.head });
    } else if (element.scrollTop < 100 && there.after > 0 && !filter) {
      const after = Math.max(0, there.after - PIECE);
      const found = await ask<Piece>("events", { after, limit: there.after - after, fold }).catch(() => null);
      if (!found) return;
      wanted.current = element.scrollTop + found.lines.length * ROW;
      setLoaded({ lines: [...found.lines, ...there.lines].slice(0, KEPT_MAX), after, upto: there.upto });
    }
  };

  const lines = loaded?.lines ?? [];
  const first = Math.max(0, Math.floor(top / ROW) - 4);
  const shown = lines.slice(first, first + Math.ceil(height / ROW) + 8);
  return (
    <section className="events" aria-label="Events">
      <header>
        <h2>Events</h2>
        <input
          type="search" aria-label="Filter events" placeholder="edge, topic:AMP, session:viewer ..." defaultValue={filter}
          onKeyDown={(event) => event.key === "Enter" && set({ events: event.currentTarget.value.trim() })}
          onBlur={(event) => event.currentTarget.value.trim() !== filter && set({ events: event.currentTarget.value.trim() })}
        />
        <label><input type="checkbox" checked={fold} onChange={(event) => setFold(event.target.checked)} /> fold</label>
        <button type="button" title="Show the events at the moment" onClick={() => around(get().at)}>Here</button>
      </header>
      {refused && <Refusal error={refused} />}
      <div ref={holder} className="rows" onScroll={scrolled} tabIndex={0} role="group" aria-label="Lines">
        <ol style={{ height: lines.length * ROW }} aria-label="Events in order">
          {shown.map((line, number) => <EventLine key={`${line.first} ${line.type} ${first + number}`} line={line} place={first + number} />)}
        </ol>
        {loaded && !lines.length && !refused && <p className="hint">{model.ledger.head ? "no event matches" : "no events have been recorded yet"}</p>}
      </div>
    </section>
  );
}

function EventLine({ line, place }: { line: Line; place: number }) {
  const is = useView((view) => (line.first <= view.at && view.at <= line.last ? "now" : line.first > view.at ? "future" : "past"));
  const seqs = line.first === line.last ? `${line.first}` : `${line.first}-${line.last}`;
  return (
    <li style={{ top: place * ROW }} data-tone={line.tone} data-is={is} aria-current={is === "now" ? "true" : undefined}>
      <button type="button" onClick={() => go(line.last)} title={line.text}>
        <span className="seq">{seqs}</span>
        <time>{clock(line.time / 1e9)}</time>
        <span className="said">{line.text}</span>
      </button>
    </li>
  );
}

/** "edge", "topic:AMP", "session:viewer", "unit:SYS/AMP": as the options of the command `log`. */
export function filters(text: string): { type?: string; topic?: string; session?: string; component?: string } {
  const out: Record<string, string> = {};
  const types: string[] = [];
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const [, kind, value] = /^(topic|session|unit|component|type):(.+)$/.exec(word) ?? [];
    if (!kind) types.push(word === "refused" ? "command.rejected" : word);
    else if (kind === "type") types.push(value);
    else out[kind === "unit" ? "component" : kind] = value;
  }
  if (types.length) out.type = types.join(",");
  return out;
}
