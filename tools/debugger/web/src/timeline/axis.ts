// The axis of the timeline: seqs, so that idle time takes no room; or time as it really passed, whatever the clock on
// the wall did, with the wall's times written on it.
import { model } from "../model/model";
import { get } from "../store";

/** Pixels beside the axis: names of lanes on the left. */
export const LEFT = 92;
export const RIGHT = 12;

const STEPS_S = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400];

export class Axis {
  readonly first: number;
  readonly last: number;
  readonly byTime: boolean;
  private t0: number;
  private t1: number;

  constructor(readonly width: number) {
    const { window, axis } = get();
    const { history, ledger } = model;
    const begin = ledger.first - 1;
    this.first = window ? Math.max(begin, window[0]) : begin;
    this.last = Math.max(this.first + 1, window ? Math.min(window[1], Math.max(history.head, begin + 1)) : history.head);
    this.t0 = history.elapsedAt(Math.max(this.first, ledger.first));
    this.t1 = Math.max(this.t0 + 1e-6, history.elapsedAt(this.last));
    this.byTime = axis === "time";
  }

  private get inner(): number {
    return this.width - LEFT - RIGHT;
  }

  x(seq: number): number {
    const share = this.byTime ? (model.history.elapsedAt(seq) - this.t0) / (this.t1 - this.t0) : (seq - this.first) / (this.last - this.first);
    return LEFT + Math.max(-0.01, Math.min(1.01, share)) * this.inner;
  }

  seq(x: number): number {
    const share = Math.max(0, Math.min(1, (x - LEFT) / this.inner));
    if (this.byTime) return Math.max(this.first, Math.min(this.last, model.history.seqAfter(this.t0 + share * (this.t1 - this.t0))));
    return Math.round(this.first + share * (this.last - this.first));
  }

  /** Round places, at least so many pixels apart: seqs, or times of the wall at round distances from the first. */
  ticks(apart: number): { x: number; seq: number; time: number; exact: boolean }[] {
    const most = Math.max(1, Math.floor(this.inner / apart));
    const out = [];
    if (this.byTime) {
      const length = this.t1 - this.t0;
      const step = STEPS_S.find((each) => length / each <= most) ?? Math.ceil(length / most / 86400) * 86400;
      for (let at = 0; at <= length; at += step) {
        const x = LEFT + (at / length) * this.inner;
        out.push({ x, seq: 0, time: model.history.wallAt(this.t0 + at), exact: step < 1 });
      }
      return out;
    }
    const length = this.last - this.first;
    const rough = Math.max(1, length / most);
    const unit = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((each) => each * unit).find((each) => each >= rough)!;
    for (let seq = Math.ceil(this.first / step) * step; seq <= this.last; seq += step) {
      out.push({ x: this.x(seq), seq, time: model.history.timeOf(seq), exact: false });
    }
    return out;
  }
}
