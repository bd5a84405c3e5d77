// The timeline: runs, how much happened, sessions as lanes, what stands out. Its axis is the seq, so that idle time is
// squeezed, or wall time. One canvas is painted when the history or the window changes; the moment lies above it.
import { useEffect, useRef, useState } from "react";
import { LASTS, above } from "./history";
import { model } from "./model";
import { go } from "./moves";
import { onTheme, palette } from "./palette";
import type { Span } from "./shapes";
import { get, set, subscribe, useView } from "./store";
import { clock, day, span, thousands } from "./times";

const TICKS = 16;
const RUNS = 14;
const DENSITY = 26;
const LANE = 11;
const LEFT = 92;
const RIGHT = 12;
/** Pauses of at least this share of the shown time, and this long, are written where they are. */
const IDLE_S = 2;
const IDLE_PX = 54;
const LANES_MAX = 40;

interface Lane {
  name: string;
  sessions: number[];
  /** Many sessions of one label in one lane: how many there are at a time. */
  folded: boolean;
}

/** Sessions as lanes: one each while there is room, otherwise one for each label. */
function lanesOf(room: number): Lane[] {
  const sessions = [...model.history.sessions.values()];
  if (sessions.length <= Math.min(room, LANES_MAX)) {
    return sessions.map((each) => ({ name: model.history.sessionName(each.id), sessions: [each.id], folded: false }));
  }
  const labels = new Map<string, number[]>();
  for (const each of sessions) {
    const name = each.label || "without a label";
    const list = labels.get(name);
    if (list) list.push(each.id);
    else labels.set(name, [each.id]);
  }
  const lanes = [...labels].sort((a, b) => b[1].length - a[1].length).map(([name, ids]) => ({ name, sessions: ids, folded: ids.length > 1 }));
  if (lanes.length <= room) return lanes;
  const rest = lanes.slice(room - 1).flatMap((lane) => lane.sessions);
  return [...lanes.slice(0, room - 1), { name: `${lanes.length - room + 1} more labels`, sessions: rest, folded: true }];
}

/** What the timeline shows: seqs or seconds, over so many pixels. */
class Axis {
  readonly first: number;
  readonly last: number;
  private t0: number;
  private t1: number;
  constructor(readonly width: number) {
    const { window, axis } = get();
    const begin = model.ledger.first - 1;
    this.first = window ? Math.max(begin, window[0]) : begin;
    this.last = Math.max(this.first + 1, window ? Math.min(window[1], Math.max(model.history.head, begin + 1)) : model.history.head);
    this.t0 = model.history.timeOf(Math.max(this.first, model.ledger.first));
    this.t1 = Math.max(this.t0 + 1e-6, model.history.timeOf(this.last));
    this.byTime = axis === "time";
  }
  readonly byTime: boolean;

  x(seq: number): number {
    const inner = this.width - LEFT - RIGHT;
    const share = this.byTime ? (model.history.timeOf(seq) - this.t0) / (this.t1 - this.t0) : (seq - this.first) / (this.last - this.first);
    return LEFT + Math.max(-0.01, Math.min(1.01, share)) * inner;
  }

  seq(x: number): number {
    const share = Math.max(0, Math.min(1, (x - LEFT) / (this.width - LEFT - RIGHT)));
    if (this.byTime) return Math.max(this.first, Math.min(this.last, model.history.seqAt(this.t0 + share * (this.t1 - this.t0))));
    return Math.round(this.first + share * (this.last - this.first));
  }

  timeAt(share: number): number {
    return this.byTime ? this.t0 + share * (this.t1 - this.t0) : model.history.timeOf(Math.round(this.first + share * (this.last - this.first)));
  }
}

export function Timeline({ spans, version }: { spans: Span[] | null; version: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const moment = useRef<HTMLCanvasElement>(null);
  const holder = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState<[number, number]>([0, 0]);
  const axisKind = useView((view) => view.axis);
  const shown = useView((view) => view.window);
  const [theme, setTheme] = useState(0);
  const room = Math.max(1, Math.floor((size[1] - TICKS - RUNS - DENSITY - 14) / LANE));
  const lanes = size[1] ? lanesOf(room) : [];

  useEffect(() => {
    const element = holder.current!;
    const sizes = new ResizeObserver(() => setSize([element.clientWidth, element.clientHeight]));
    sizes.observe(element);
    const stop = onTheme(() => setTheme((value) => value + 1));
    return () => (sizes.disconnect(), stop());
  }, []);

  useEffect(() => {
    if (!size[0]) return;
    for (const each of [canvas.current!, moment.current!]) fit(each, size);
    paint(canvas.current!, new Axis(size[0]), size[1], lanes, spans);
    paintMoment(moment.current!, new Axis(size[0]), size[1]);
  }, [size, axisKind, shown, theme, version, spans]);

  useEffect(
    () =>
      subscribe((now, then) => {
        if (now.at !== then.at || now.pin !== then.pin || now.pinOther !== then.pinOther) paintMoment(moment.current!, new Axis(size[0]), size[1]);
      }),
    [size],
  );

  const drag = useRef<{ mode: "scrub" | "pan" | "window"; x: number; window: [number, number] } | null>(null);
  const [picked, setPicked] = useState<[number, number] | null>(null);

  const place = (event: React.PointerEvent | React.WheelEvent) => event.clientX - holder.current!.getBoundingClientRect().left;
  const bounds = (): [number, number] => {
    const axis = new Axis(size[0]);
    return [axis.first, axis.last];
  };

  const down = (event: React.PointerEvent) => {
    if (event.button > 1) return;
    (event.currentTarget as Element).setPointerCapture(event.pointerId);
    const mode = event.shiftKey ? "window" : event.button === 1 || event.altKey ? "pan" : "scrub";
    drag.current = { mode, x: place(event), window: bounds() };
    if (mode === "scrub") go(new Axis(size[0]).seq(place(event)));
  };
  const move = (event: React.PointerEvent) => {
    if (!drag.current) return;
    const x = place(event);
    if (drag.current.mode === "scrub") go(new Axis(size[0]).seq(x));
    else if (drag.current.mode === "window") setPicked([drag.current.x, x]);
    else {
      const [first, last] = drag.current.window;
      shift(first, last, -((x - drag.current.x) / (size[0] - LEFT - RIGHT)) * (last - first));
    }
  };
  const up = () => {
    if (drag.current?.mode === "window" && picked && Math.abs(picked[1] - picked[0]) > 4) {
      const axis = new Axis(size[0]);
      const [a, b] = [axis.seq(Math.min(...picked)), axis.seq(Math.max(...picked))];
      if (b > a) set({ window: [a, b] });
    }
    drag.current = null;
    setPicked(null);
  };

  useEffect(() => {
    const element = holder.current!;
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      const axis = new Axis(size[0]);
      const x = event.clientX - element.getBoundingClientRect().left;
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        shift(axis.first, axis.last, (event.deltaX / size[0]) * (axis.last - axis.first));
      } else zoom(Math.exp(event.deltaY * 0.0015), axis.seq(x));
    };
    element.addEventListener("wheel", wheel, { passive: false });
    return () => element.removeEventListener("wheel", wheel);
  }, [size]);

  return (
    <section className="timeline" aria-label="Timeline">
      <div ref={holder} className="lanes" onPointerDown={down} onPointerMove={move} onPointerUp={up} onPointerCancel={up}>
        <canvas ref={canvas} aria-hidden="true" />
        <canvas ref={moment} aria-hidden="true" />
        {picked && <div className="window" style={{ left: Math.min(...picked), width: Math.abs(picked[1] - picked[0]) }} />}
        <Slider />
        <LaneNames lanes={lanes} top={TICKS + RUNS + DENSITY} />
      </div>
    </section>
  );
}

/** Sessions by name: their lanes, and, of folded lanes, whatever lies in them. */
function LaneNames({ lanes, top }: { lanes: Lane[]; top: number }) {
  const [open, setOpen] = useState<string | null>(null);
  return (
    <ul className="lane-names" aria-label="Sessions" style={{ top, width: LEFT - 6 }} onPointerDown={(event) => event.stopPropagation()}>
      {lanes.map((lane) => (
        <li key={`${lane.name} ${lane.sessions[0]}`} style={{ height: LANE }}>
          {lane.folded ? (
            <button type="button" aria-expanded={open === lane.name} onClick={() => setOpen(open === lane.name ? null : lane.name)}>
              {`${lane.sessions.length} \u00d7 ${lane.name}`}
            </button>
          ) : (
            <button type="button" aria-label={`session ${lane.name}`} title={lane.name} onClick={() => set({ select: `session ${lane.sessions[0]}` })}>
              {lane.name}
            </button>
          )}
          {open === lane.name && (
            <ul className="opened" aria-label={`Sessions called ${lane.name}`}>
              {lane.sessions.slice(-200).map((id) => (
                <li key={id}>
                  <button type="button" onClick={() => (set({ select: `session ${id}` }), setOpen(null))}>
                    {`session ${id} ${model.history.sessionName(id)}`}
                  </button>
                </li>
              ))}
            </ul>
          )}
        </li>
      ))}
    </ul>
  );
}

/** The moment for keyboards and assistive tools. */
function Slider() {
  const at = useView((view) => view.at);
  const first = model.ledger.first - 1;
  const time = model.history.timeOf(at);
  return (
    <div
      className="slider" role="slider" tabIndex={0} aria-label="Moment" aria-valuemin={first} aria-valuemax={Math.max(first, model.history.head)}
      aria-valuenow={at} aria-valuetext={`seq ${at}, ${time ? `${day(time)} ${clock(time)}` : "before the first event"}`}
    />
  );
}

function limits(): [number, number] {
  return [model.ledger.first - 1, Math.max(model.history.head, model.ledger.first)];
}

function shift(first: number, last: number, by: number): void {
  const [low, high] = limits();
  const moved = Math.round(Math.max(low - first, Math.min(high - last, by)));
  if (moved) set({ window: [first + moved, last + moved] });
}

export function zoom(by: number, around = get().at): void {
  const axis = new Axis(1000);
  const [low, high] = limits();
  const width = Math.max(4, (axis.last - axis.first) * by);
  if (width >= high - low) return set({ window: null });
  const share = Math.max(0, Math.min(1, (around - axis.first) / (axis.last - axis.first)));
  const begin = Math.round(Math.max(low, Math.min(high - width, around - share * width)));
  set({ window: [begin, Math.round(begin + width)] });
}

// --- painting --------------------------------------------------------------------------------------------------------

function fit(canvas: HTMLCanvasElement, [width, height]: [number, number]): void {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
}

function begin(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const context = canvas.getContext("2d")!;
  const ratio = window.devicePixelRatio || 1;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  return context;
}

function paint(canvas: HTMLCanvasElement, axis: Axis, height: number, lanes: Lane[], spans: Span[] | null): void {
  const context = begin(canvas);
  const colours = palette();
  const { history, ledger } = model;
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  ticks(context, axis, height);
  context.fillStyle = colours.dim;
  context.fillText("runs", 8, TICKS + RUNS / 2);
  ledger.runs.forEach((run, number) => {
    const from = axis.x(run.id);
    const to = run.last_seq === null ? axis.x(Math.max(history.head, run.id)) : axis.x(run.last_seq);
    context.fillStyle = run.reason === "lost" ? colours.bad : number % 2 ? colours.second : colours.dim;
    context.globalAlpha = 0.35;
    context.fillRect(from, TICKS + 2, Math.max(2, to - from), RUNS - 5);
    context.globalAlpha = 1;
    const name = `run ${run.number}${run.name ? ` ${run.name}` : ""}`;
    if (to - from > context.measureText(name).width + 8) {
      context.fillStyle = colours.text;
      context.fillText(name, from + 4, TICKS + RUNS / 2);
    }
  });
  density(context, axis);
  lanes.forEach((lane, number) => paintLane(context, axis, lane, TICKS + RUNS + DENSITY + number * LANE));
  if (spans) paintSpans(context, axis, spans, height);
  landmarks(context, axis, height);
  idle(context, axis, height);
}

function ticks(context: CanvasRenderingContext2D, axis: Axis, height: number): void {
  const colours = palette();
  const inner = axis.width - LEFT - RIGHT;
  const number = Math.max(1, Math.floor(inner / 130));
  context.fillStyle = colours.dim;
  context.fillText(axis.byTime ? "time" : "seq", 8, TICKS / 2);
  let right = 0;
  for (let place = 0; place <= number; place++) {
    const x = LEFT + (inner * place) / number;
    const seq = axis.seq(x);
    const time = axis.timeAt(place / number);
    const text = axis.byTime ? clock(time) : `${thousands(seq)}  ${time ? clock(time).slice(0, 8) : ""}`;
    const width = context.measureText(text).width;
    const left = Math.min(x + 3, axis.width - width - 2);
    if (left > right) {
      context.fillText(text, left, TICKS / 2);
      right = left + width + 6;
    }
    context.fillRect(x, 0, 1, 4);
    context.globalAlpha = 0.15;
    context.fillRect(x, TICKS, 1, height - TICKS);
    context.globalAlpha = 1;
  }
}

function density(context: CanvasRenderingContext2D, axis: Axis): void {
  const { history } = model;
  const colours = palette();
  const top = TICKS + RUNS;
  const inner = Math.floor(axis.width - LEFT - RIGHT);
  const STEP = Math.max(3, Math.min(14, Math.floor(inner / (axis.last - axis.first))));
  const bars: [number, number, number][] = [];
  let most = 1;
  for (let x = 0; x < inner; x += STEP) {
    const [a, b] = [axis.seq(LEFT + x), axis.seq(LEFT + x + STEP)];
    const edges = above(history.born, b) - above(history.born, a);
    const settings = above(history.setBorn, b) - above(history.setBorn, a);
    const all = axis.byTime ? b - a : edges + settings + above(history.factBorn, b) - above(history.factBorn, a);
    most = Math.max(most, all);
    bars.push([edges, settings, all]);
  }
  context.fillStyle = colours.dim;
  context.fillText("events", 8, top + DENSITY / 2);
  bars.forEach(([edges, settings, all], place) => {
    const x = LEFT + place * STEP;
    if (!all) return;
    // a start-up has thousands of facts in one event: on a plain scale nothing else would be seen
    const height = (DENSITY - 6) * (Math.log1p(all) / Math.log1p(most));
    const scale = height / all;
    const others = Math.max(0, all - edges - settings) * scale;
    context.fillStyle = colours.line;
    context.fillRect(x, top + DENSITY - 3 - all * scale, STEP - 1, others);
    context.fillStyle = colours.settings;
    context.fillRect(x, top + DENSITY - 3 - (edges + settings) * scale, STEP - 1, settings * scale);
    context.fillStyle = colours.edge;
    context.fillRect(x, top + DENSITY - 3 - edges * scale, STEP - 1, edges * scale);
  });
}

function paintLane(context: CanvasRenderingContext2D, axis: Axis, lane: Lane, top: number): void {
  const { history } = model;
  const colours = palette();
  context.fillStyle = model.colours.of(lane.name);
  if (!lane.folded) {
    for (const id of lane.sessions) {
      const session = history.sessions.get(id)!;
      const to = session.died === LASTS ? history.head : session.died;
      if (session.born > axis.last || to < axis.first) continue;
      const [from, end] = [Math.max(LEFT, axis.x(session.born)), axis.x(to)];
      context.globalAlpha = 0.85;
      context.fillRect(from, top + 2, Math.max(2, end - from), LANE - 4);
      context.globalAlpha = 1;
    }
    return;
  }
  const steps = new Float32Array(Math.ceil(axis.width) + 2);
  for (const id of lane.sessions) {
    const session = history.sessions.get(id)!;
    const to = session.died === LASTS ? history.head : session.died;
    if (session.born > axis.last || to < axis.first) continue;
    steps[Math.max(LEFT, Math.floor(axis.x(session.born)))]++;
    steps[Math.max(LEFT, Math.ceil(axis.x(to))) + 1]--;
  }
  let most = 1;
  let sum = 0;
  for (const value of steps) most = Math.max(most, (sum += value));
  sum = 0;
  steps.forEach((value, x) => {
    sum += value;
    if (sum > 0) {
      context.globalAlpha = 0.25 + 0.65 * (sum / most);
      context.fillRect(x, top + 1, 1, LANE - 2);
    }
  });
  context.globalAlpha = 1;
  context.strokeStyle = colours.line;
}

function paintSpans(context: CanvasRenderingContext2D, axis: Axis, spans: Span[], height: number): void {
  const colours = palette();
  for (const each of spans) {
    const to = each.died ?? model.history.head;
    if (each.born > axis.last || to < axis.first) continue;
    const from = Math.max(LEFT, axis.x(each.born));
    const width = Math.max(2, axis.x(to) - from);
    context.fillStyle = colours.select;
    context.globalAlpha = 0.13;
    context.fillRect(from, TICKS, width, height - TICKS);
    context.globalAlpha = 1;
    context.fillRect(from, height - 5, width, 4);
  }
}

/** Marks, refusals, losses and gaps: what nobody should have to look for. */
function landmarks(context: CanvasRenderingContext2D, axis: Axis, height: number): void {
  const { ledger } = model;
  const colours = palette();
  const place = (seq: number) => (seq < axis.first || seq > axis.last ? null : axis.x(seq));
  const drawn = new Set<number>();
  const flag = (seq: number, colour: string, shape: "cross" | "dot") => {
    const x = place(seq);
    if (x === null || drawn.has(Math.round(x))) return;
    drawn.add(Math.round(x));
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = 2;
    const y = height - 9;
    context.beginPath();
    if (shape === "cross") {
      context.moveTo(x - 3, y - 3);
      context.lineTo(x + 3, y + 3);
      context.moveTo(x + 3, y - 3);
      context.lineTo(x - 3, y + 3);
      context.stroke();
    } else {
      context.arc(x, y, 3.2, 0, Math.PI * 2);
      context.fill();
    }
  };
  for (const gap of ledger.gaps) {
    const [from, to] = [axis.x(gap.first), axis.x(gap.last)];
    if (gap.last < axis.first || gap.first > axis.last) continue;
    context.fillStyle = colours.bad;
    context.globalAlpha = gap.lost ? 0.35 : 0.15;
    context.fillRect(from, TICKS, Math.max(3, to - from), height - TICKS);
    context.globalAlpha = 1;
  }
  for (const seq of ledger.refusals) flag(seq, colours.bad, "cross");
  for (const seq of ledger.losses) flag(seq, colours.removed, "dot");
  let right = -1;
  context.lineWidth = 1;
  const shown = ledger.marks.filter((mark) => place(mark.seq) !== null);
  for (const mark of shown) {
    const x = place(mark.seq)!;
    context.fillStyle = colours.select;
    context.globalAlpha = shown.length > 12 ? 0.25 : 0.7;
    context.fillRect(x, TICKS, 1, height - TICKS);
    context.globalAlpha = 1;
    context.fillRect(x, height - 14, 1.5, 14);
    const width = context.measureText(mark.name).width;
    if (x > right && x + width < axis.width) {
      context.fillStyle = colours.paper;
      context.fillRect(x + 2, height - 15, width + 6, 14);
      context.fillStyle = colours.select;
      context.fillText(mark.name, x + 5, height - 8);
      right = x + width + 10;
    }
  }
}

/** On the axis of seqs idle time has no width: where it was long, it is written. */
function idle(context: CanvasRenderingContext2D, axis: Axis, height: number): void {
  if (axis.byTime) return;
  const { history } = model;
  const colours = palette();
  const from = above(history.timeSeq, axis.first);
  const to = above(history.timeSeq, axis.last);
  if (to - from > 200_000) return;
  const pauses: [number, number][] = [];
  for (let i = Math.max(1, from); i < to; i++) {
    const seconds = history.time.data[i] - history.time.data[i - 1];
    if (seconds >= IDLE_S) pauses.push([seconds, history.timeSeq.data[i]]);
  }
  pauses.sort((a, b) => b[0] - a[0]);
  const taken: number[] = [];
  for (const [seconds, seq] of pauses.slice(0, 200)) {
    const x = axis.x(seq - 0.5);
    if (taken.some((other) => Math.abs(other - x) < IDLE_PX)) continue;
    taken.push(x);
    context.strokeStyle = colours.dim;
    context.setLineDash([1, 3]);
    context.beginPath();
    context.moveTo(x, TICKS);
    context.lineTo(x, height);
    context.stroke();
    context.setLineDash([]);
    const text = `${span(seconds)} idle`;
    const width = context.measureText(text).width;
    context.fillStyle = colours.paper;
    context.globalAlpha = 0.85;
    context.fillRect(x - width / 2 - 2, TICKS + RUNS - 1, width + 4, 12);
    context.globalAlpha = 1;
    context.fillStyle = colours.dim;
    context.fillText(text, x - width / 2, TICKS + RUNS + 5);
  }
}

function paintMoment(canvas: HTMLCanvasElement, axis: Axis, height: number): void {
  const context = begin(canvas);
  const colours = palette();
  const { at, pinOther } = get();
  const pin = pinOther ? null : get().pin;
  const x = axis.x(at);
  context.fillStyle = colours.future;
  context.fillRect(x + 1, 0, axis.width - x, height);
  if (pin !== null) {
    const p = axis.x(pin);
    context.fillStyle = colours.others;
    context.globalAlpha = 0.1;
    context.fillRect(Math.min(p, x), 0, Math.abs(x - p), height);
    context.globalAlpha = 1;
    context.fillRect(p - 1, 0, 2, height);
    context.beginPath();
    context.arc(p, 5, 4, 0, 2 * Math.PI);
    context.fill();
  }
  context.fillStyle = colours.select;
  context.fillRect(x - 1, 0, 2, height);
  context.beginPath();
  context.moveTo(x - 6, 0);
  context.lineTo(x + 6, 0);
  context.lineTo(x, 8);
  context.fill();
}
