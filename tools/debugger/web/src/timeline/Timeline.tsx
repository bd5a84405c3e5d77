// The timeline: runs, how much happened, sessions as lanes, what stands out. One canvas is painted when the history or
// the window changes; the moment lies above it.
import { useEffect, useRef, useState } from "react";
import { Axis, LEFT, RIGHT } from "./axis";
import { DENSITY, LANE, RUNS, TICKS, fit, paint, paintMoment } from "./chart";
import { type Lane, lanesOf } from "./lanes";
import { model } from "../model/model";
import { go } from "../model/moves";
import { onTheme } from "../palette";
import type { Span } from "../server/shapes";
import { get, set, subscribe, useView } from "../store";
import { clock, day } from "../times";

/** Below the lanes: marks, refusals, losses. */
const FOOT = 22;
/** Lanes for which there is room; more are folded. */
const LANES_SHOWN = 6;

export function Timeline({ spans, version }: { spans: Span[] | null; version: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const moment = useRef<HTMLCanvasElement>(null);
  const holder = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState<[number, number]>([0, 0]);
  const axisKind = useView((view) => view.axis);
  const shown = useView((view) => view.window);
  const [theme, setTheme] = useState(0);
  const room = Math.max(1, Math.floor((size[1] - TICKS - RUNS - DENSITY - FOOT) / LANE));
  const lanes = size[1] ? lanesOf(room) : [];
  const needed = TICKS + RUNS + DENSITY + Math.max(2, Math.min(model.history.sessions.size, LANES_SHOWN)) * LANE + FOOT;

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
        if (now.at !== then.at) keepInSight(now.at);
        if (now.at !== then.at || now.pin !== then.pin || now.pinOther !== then.pinOther) paintMoment(moment.current!, new Axis(size[0]), size[1]);
      }),
    [size],
  );

  const drag = useRef<{ mode: "scrub" | "pan" | "window"; x: number; window: [number, number] } | null>(null);
  const fingers = useRef(new Map<number, number>());
  const pinch = useRef<[low: number, high: number] | null>(null);
  const [picked, setPicked] = useState<[number, number] | null>(null);

  const place = (event: React.PointerEvent | React.WheelEvent) => event.clientX - holder.current!.getBoundingClientRect().left;
  const bounds = (): [number, number] => {
    const axis = new Axis(size[0]);
    return [axis.first, axis.last];
  };

  const down = (event: React.PointerEvent) => {
    if (event.button > 1) return;
    (event.currentTarget as Element).setPointerCapture(event.pointerId);
    fingers.current.set(event.pointerId, place(event));
    if (fingers.current.size === 2) {
      const axis = new Axis(size[0]);
      const [a, b] = [...fingers.current.values()].sort((left, right) => left - right);
      pinch.current = [axis.seq(a), axis.seq(b)];
      drag.current = null;
      return;
    }
    const mode = event.shiftKey ? "window" : event.button === 1 || event.altKey ? "pan" : "scrub";
    drag.current = { mode, x: place(event), window: bounds() };
    if (mode === "scrub") go(new Axis(size[0]).seq(place(event)));
  };
  const move = (event: React.PointerEvent) => {
    const x = place(event);
    if (fingers.current.has(event.pointerId)) fingers.current.set(event.pointerId, x);
    if (pinch.current && fingers.current.size === 2) return pinched(pinch.current, [...fingers.current.values()], size[0]);
    if (!drag.current) return;
    if (drag.current.mode === "scrub") go(new Axis(size[0]).seq(x));
    else if (drag.current.mode === "window") setPicked([drag.current.x, x]);
    else {
      const [first, last] = drag.current.window;
      shift(first, last, -((x - drag.current.x) / (size[0] - LEFT - RIGHT)) * (last - first));
    }
  };
  const up = (event: React.PointerEvent) => {
    fingers.current.delete(event.pointerId);
    if (fingers.current.size < 2) pinch.current = null;
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
    <section className="timeline" aria-label="Timeline" style={{ height: needed + 1 }}>
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
              {lane.label}
            </button>
          ) : (
            <button type="button" aria-label={`session ${lane.name}`} title={lane.name} onClick={() => set({ select: `session ${lane.sessions[0]}` })}>
              {lane.name}
            </button>
          )}
          {open === lane.name && (
            <ul className="opened" aria-label={`Sessions: ${lane.label}`}>
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

/** Two fingers keep the seqs that they were put on. */
function pinched([low, high]: [number, number], places: number[], width: number): void {
  const [a, b] = places.sort((left, right) => left - right);
  if (high <= low || b - a < 8) return;
  const each = (high - low) / (b - a);
  const [begin, end] = limits();
  const first = Math.max(begin, Math.round(low - (a - LEFT) * each));
  const last = Math.min(end, Math.round(first + (width - LEFT - RIGHT) * each));
  if (last - first >= 4) set({ window: first <= begin && last >= end ? null : [first, last] });
}

/** The window goes along when the moment leaves it. */
function keepInSight(at: number): void {
  const { window } = get();
  if (!window || (at >= window[0] && at <= window[1])) return;
  const width = window[1] - window[0];
  const [low, high] = limits();
  const first = Math.max(low, Math.min(high - width, Math.round(at - width / 2)));
  set({ window: [first, first + width] });
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
