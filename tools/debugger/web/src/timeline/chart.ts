// Paints the timeline: runs, how much happened, lanes, what stands out; and, on a canvas above it, the moment and the pin.
import { type Axis, LEFT, RIGHT } from "./axis";
import { LASTS, above } from "../model/history";
import type { Lane } from "./lanes";
import { model } from "../model/model";
import { palette } from "../palette";
import type { Span } from "../server/shapes";
import { get } from "../store";
import { clock, span, thousands } from "../times";

export const TICKS = 16;
export const RUNS = 14;
export const DENSITY = 26;
export const LANE = 11;
/** Pauses of at least so long are written where they are, if they are so far apart. */
const IDLE_S = 2;
const IDLE_PX = 54;
/** Refusals and losses above which each is a thin line. */
const FLAGS_MAX = 150;

export function fit(canvas: HTMLCanvasElement, [width, height]: [number, number]): void {
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

export function paint(canvas: HTMLCanvasElement, axis: Axis, height: number, lanes: Lane[], spans: Span[] | null): void {
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
  jumps(context, axis, height);
  idle(context, axis, height);
}

function ticks(context: CanvasRenderingContext2D, axis: Axis, height: number): void {
  const colours = palette();
  context.fillStyle = colours.dim;
  context.fillText(axis.byTime ? "time" : "seq", 8, TICKS / 2);
  let right = 0;
  for (const { x, seq, time, exact } of axis.ticks(axis.byTime ? 96 : 126)) {
    const wall = time ? clock(time) : "";
    const text = axis.byTime ? (exact ? wall : wall.slice(0, 8)) : `${thousands(seq)}  ${wall.slice(0, 8)}`;
    const width = context.measureText(text).width;
    const left = x + 3 + width + 2 > axis.width ? x - width - 7 : x + 3; // never across its own line, and the moment's
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
  const gap = STEP > 4 ? 1 : 0;
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
  context.fillText(axis.byTime ? "events" : "changes", 8, top + DENSITY / 2);
  bars.forEach(([edges, settings, all], place) => {
    const x = LEFT + place * STEP;
    if (!all) return;
    // a start-up has thousands of facts in one event: on a plain scale nothing else would be seen
    const height = (DENSITY - 6) * (Math.log1p(all) / Math.log1p(most));
    const scale = height / all;
    const others = Math.max(0, all - edges - settings) * scale;
    context.fillStyle = colours.line;
    context.fillRect(x, top + DENSITY - 3 - all * scale, STEP - gap, others);
    context.fillStyle = colours.settings;
    context.fillRect(x, top + DENSITY - 3 - (edges + settings) * scale, STEP - gap, settings * scale);
    context.fillStyle = colours.edge;
    context.fillRect(x, top + DENSITY - 3 - edges * scale, STEP - gap, edges * scale);
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
  const seen = (seqs: number[]) => seqs.filter((seq) => place(seq) !== null).length;
  const many = seen(ledger.refusals) + seen(ledger.losses) > FLAGS_MAX;
  const flag = (seq: number, colour: string, shape: "cross" | "dot") => {
    const x = place(seq);
    if (x === null || drawn.has(Math.round(x))) return;
    drawn.add(Math.round(x));
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = 2;
    const y = height - 9;
    if (many) {
      context.globalAlpha = 0.6;
      context.fillRect(x, shape === "cross" ? y - 5 : y, 1, 5);
      context.globalAlpha = 1;
      return;
    }
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
  const shown = ledger.marks.filter((mark) => place(mark.seq!) !== null);
  for (const mark of shown) {
    const x = place(mark.seq!)!;
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

/** Where the clock on the wall was set, or the machine slept: times before and after it do not follow one another. */
function jumps(context: CanvasRenderingContext2D, axis: Axis, height: number): void {
  const colours = palette();
  let right = -1;
  for (const jump of model.ledger.jumps) {
    if (jump.seq < axis.first || jump.seq > axis.last) continue;
    const x = axis.x(jump.seq);
    context.strokeStyle = colours.settings;
    context.lineWidth = 1;
    context.setLineDash([4, 3]);
    context.beginPath();
    context.moveTo(x, TICKS);
    context.lineTo(x, height);
    context.stroke();
    context.setLineDash([]);
    const seconds = Math.abs(jump.ns) / 1e9;
    const text = jump.kind === "suspend" ? `asleep ${span(seconds)}` : `clock set ${jump.ns < 0 ? "back" : "on"} ${span(seconds)}`;
    const width = context.measureText(text).width;
    const left = Math.min(x + 4, axis.width - width - 2);
    if (left <= right) continue;
    right = left + width + 8;
    context.fillStyle = colours.paper;
    context.fillRect(left - 1, height - 28, width + 4, 13);
    context.fillStyle = colours.settings;
    context.fillText(text, left, height - 21);
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
    const seconds = history.elapsed.data[i] - history.elapsed.data[i - 1];
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
    const left = Math.max(LEFT + 2, Math.min(x - width / 2, axis.width - width - 4));
    context.fillStyle = colours.paper;
    context.globalAlpha = 0.85;
    context.fillRect(left - 2, TICKS + RUNS - 1, width + 4, 12);
    context.globalAlpha = 1;
    context.fillStyle = colours.dim;
    context.fillText(text, left, TICKS + RUNS + 5);
  }
}

export function paintMoment(canvas: HTMLCanvasElement, axis: Axis, height: number): void {
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
