// What the page knows, in one place: the ledger, its history, its drawing, and the masks of the moment and of the pin.
import { type Box, Drawing, type DrawingForm } from "./drawing";
import { History, Mask } from "./history";
import { Colours } from "./palette";
import type { Ledger, Status } from "./shapes";
import { get } from "./store";

export const BOXES: ReadonlySet<string> = new Set(["component", "unit", "endpoint"]);

export type EdgeState = "on" | "off" | "added" | "removed" | "others" | "between";

/** What differs between the pin and the moment. */
export interface Difference {
  added: number[];
  removed: number[];
  others: number[];
  /** Edges that came and went in between. */
  between: number[];
  sessionsCame: number[];
  sessionsWent: number[];
  sessionsBetween: number[];
  boxesCame: string[];
  boxesWent: string[];
  /** How often the settings of each component changed. */
  settings: Map<string, number>;
}

class Model {
  ledger!: Ledger;
  status: Status | null = null;
  history = new History();
  drawing: Drawing | null = null;
  now = new Mask();
  pinned = new Mask();
  colours = new Colours();
  hosts = new Colours();
  /** For each fact of a kind that shows a box: the box. */
  private factBox: Int32Array<ArrayBuffer> = new Int32Array(0);
  private factCount = 0;
  private topicPublished: Uint16Array<ArrayBuffer> = new Uint16Array(0);
  private publishedAt = "";
  private anyPublished = false;
  private difference: { key: string; found: Difference } | null = null;

  takeDrawing(form: DrawingForm): void {
    this.drawing = new Drawing(form, this.history);
    this.factCount = 0;
  }

  /** Masks for the moment and, when one is set, the pin. Cost: one scan each. */
  mask(): void {
    const { at, pin } = get();
    const edges = this.history.edgeTo.length;
    if (this.now.seq !== at || this.now.owners.length !== edges) this.history.at(at, this.now);
    if (pin !== null && (this.pinned.seq !== pin || this.pinned.owners.length !== edges)) this.history.at(pin, this.pinned);
  }

  forget(): void {
    this.pinned.seq = this.now.seq = -1;
    this.publishedAt = "";
    this.difference = null;
  }

  /** How many facts show each box at a moment. Cost: one scan. */
  boxesAt(seq: number, out: Uint16Array<ArrayBuffer>): Uint16Array<ArrayBuffer> {
    const drawing = this.drawing;
    const { factBorn, factDied } = this.history;
    if (!drawing) return out;
    this.findBoxes(drawing);
    if (out.length !== drawing.boxes.length) out = new Uint16Array(drawing.boxes.length);
    else out.fill(0);
    for (let i = 0; i < factBorn.length && factBorn.data[i] <= seq; i++) {
      const box = this.factBox[i];
      if (box >= 0 && factDied.data[i] > seq) out[box]++;
    }
    const mask = seq === this.now.seq ? this.now : seq === this.pinned.seq ? this.pinned : null;
    if (mask) this.touch(drawing, mask, out);
    for (let place = drawing.boxes.length - 1; place >= 0; place--) {
      const parent = drawing.boxes[place].parent;
      if (parent >= 0 && out[place]) out[parent]++;
    }
    return out;
  }

  /** A box at which an edge ends is there, whoever has registered it. */
  private touch(drawing: Drawing, mask: Mask, out: Uint16Array): void {
    const ends = this.edgeBoxes(drawing);
    for (let edge = 0; edge < mask.owners.length; edge++) {
      if (mask.owners[edge]) {
        if (ends[2 * edge] >= 0) out[ends[2 * edge]] = 1;
        if (ends[2 * edge + 1] >= 0) out[ends[2 * edge + 1]] = 1;
      }
    }
  }

  private ends: Int32Array<ArrayBuffer> = new Int32Array(0);
  private endsOf: Drawing | null = null;

  private edgeBoxes(drawing: Drawing): Int32Array<ArrayBuffer> {
    const edges = this.history.edgeTo.length;
    if (this.endsOf !== drawing || this.ends.length !== 2 * edges) {
      this.ends = new Int32Array(2 * edges).fill(-1);
      for (let edge = 0; edge < edges; edge++) {
        [this.history.edgeFrom, this.history.edgeTo].forEach((side, end) => {
          const box = drawing.ofTopic.get(this.history.topics[side.data[edge]]);
          if (box && box.kind !== "collection") this.ends[2 * edge + end] = box.place;
        });
      }
      this.endsOf = drawing;
    }
    return this.ends;
  }

  private findBoxes(drawing: Drawing): void {
    const { factKey, factValue, keys, values } = this.history;
    if (this.factCount === factKey.length && this.factBox.length >= factKey.length) return;
    const found = new Int32Array(factKey.length).fill(-1);
    for (let i = 0; i < factKey.length; i++) {
      const [kind, name] = keys[factKey.data[i]];
      let box: Box | undefined;
      if (kind === "component" || kind === "unit") box = drawing.byAddress.get(String(name));
      else if (kind === "endpoint") {
        const topic = (values[factValue.data[i]] as [string, string | null])[1];
        if (topic !== null) box = drawing.ofTopic.get(topic);
        if (box?.kind === "collection") box = undefined;
      }
      if (box) found[i] = box.place;
    }
    this.factBox = found;
    this.factCount = factKey.length;
  }

  /** For each topic, whether a publisher's messages can come to it at the moment; null when nobody ever published. */
  published(): Uint16Array<ArrayBuffer> | null {
    const { history, now } = this;
    const key = `${now.seq} ${history.head} ${history.edgeTo.length}`;
    if (this.publishedAt === key) return this.anyPublished ? this.topicPublished : null;
    this.publishedAt = key;
    const topics = history.topics.length;
    const reached = this.topicPublished.length === topics ? this.topicPublished.fill(0) : new Uint16Array(topics);
    this.topicPublished = reached;
    let any = false;
    const upto = history.factBorn.length;
    for (let i = 0; i < upto; i++) {
      const [kind] = history.keys[history.factKey.data[i]];
      if (kind !== "endpoint") continue;
      const [what, topic] = history.values[history.factValue.data[i]] as [string, string | null];
      if (what !== "publisher" || topic === null) continue;
      any = true;
      if (history.factBorn.data[i] > now.seq || history.factDied.data[i] <= now.seq) continue;
      const place = history.topicPlace.get(topic);
      if (place !== undefined) reached[place] = 1;
    }
    this.anyPublished = any;
    if (!any) return null;
    const next = new Map<number, number[]>();
    for (let edge = 0; edge < now.owners.length; edge++) {
      if (!now.owners[edge]) continue;
      const from = history.edgeFrom.data[edge];
      const list = next.get(from);
      if (list) list.push(history.edgeTo.data[edge]);
      else next.set(from, [history.edgeTo.data[edge]]);
    }
    const waiting: number[] = [];
    reached.forEach((value, topic) => value && waiting.push(topic));
    while (waiting.length) {
      for (const to of next.get(waiting.pop()!) ?? []) {
        if (!reached[to]) {
          reached[to] = 1;
          waiting.push(to);
        }
      }
    }
    return reached;
  }

  edgeState(edge: number): EdgeState {
    const now = this.now.owners[edge] > 0;
    if (get().pin === null) return now ? "on" : "off";
    const then = this.pinned.owners[edge] > 0;
    if (now && !then) return "added";
    if (then && !now) return "removed";
    if (now) return this.now.sign[edge] === this.pinned.sign[edge] ? "on" : "others";
    return this.isBetween(edge) ? "between" : "off";
  }

  private betweenEdges = new Set<number>();
  private isBetween(edge: number): boolean {
    return this.betweenEdges.has(edge);
  }

  /** What differs from the pin to the moment, either way round; null without a pin. Cost: a scan. */
  differences(): Difference | null {
    const { pin, at } = get();
    if (pin === null) return null;
    const key = `${pin} ${at} ${this.history.head}`;
    if (this.difference?.key === key) return this.difference.found;
    this.mask();
    const { history, now, pinned } = this;
    const found: Difference = {
      added: [], removed: [], others: [], between: [], sessionsCame: [], sessionsWent: [], sessionsBetween: [],
      boxesCame: [], boxesWent: [], settings: new Map(),
    };
    const [low, high] = pin <= at ? [pin, at] : [at, pin];
    this.betweenEdges.clear();
    for (let i = 0; i < history.born.length && history.born.data[i] <= high; i++) {
      const edge = history.edge.data[i];
      if (history.born.data[i] > low && history.died.data[i] <= high && !now.owners[edge] && !pinned.owners[edge]) {
        this.betweenEdges.add(edge);
      }
    }
    found.between = [...this.betweenEdges];
    for (let edge = 0; edge < now.owners.length; edge++) {
      const [is, was] = [now.owners[edge] > 0, pinned.owners[edge] > 0];
      if (is && !was) found.added.push(edge);
      else if (was && !is) found.removed.push(edge);
      else if (is && now.sign[edge] !== pinned.sign[edge]) found.others.push(edge);
    }
    for (const session of history.sessions.values()) {
      const [is, was] = [lives(session, at), lives(session, pin)];
      if (is && !was) found.sessionsCame.push(session.id);
      else if (was && !is) found.sessionsWent.push(session.id);
      else if (!is && session.born > low && session.died <= high) found.sessionsBetween.push(session.id);
    }
    for (let i = 0; i < history.factBorn.length && history.factBorn.data[i] <= high; i++) {
      const [kind, name] = history.keys[history.factKey.data[i]];
      if (kind !== "component") continue;
      const row = { born: history.factBorn.data[i], died: history.factDied.data[i] };
      const [is, was] = [lives(row, at), lives(row, pin)];
      if (is && !was) found.boxesCame.push(String(name));
      else if (was && !is) found.boxesWent.push(String(name));
    }
    const both = new Set(found.boxesCame.filter((name) => found.boxesWent.includes(name)));
    found.boxesCame = found.boxesCame.filter((name) => !both.has(name));
    found.boxesWent = found.boxesWent.filter((name) => !both.has(name));
    for (let i = 0; i < history.setBorn.length && history.setBorn.data[i] <= high; i++) {
      if (history.setBorn.data[i] <= low) continue;
      const name = String(history.keys[history.setKey.data[i]][1]);
      found.settings.set(name, (found.settings.get(name) ?? 0) + 1);
    }
    this.difference = { key, found };
    return found;
  }
}

const lives = (row: { born: number; died: number }, seq: number) => row.born <= seq && seq < row.died;

export const model = new Model();
