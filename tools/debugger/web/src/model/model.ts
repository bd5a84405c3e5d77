// What the page knows, in one place: the ledger, its history, its drawing, and the masks of the moment and of the pin.
import { type Box, Drawing, type DrawingForm } from "./drawing";
import { History, Mask, above } from "./history";
import { FOREIGN, Other, nameCodes, namedNow } from "./other";
import { Colours } from "../palette";
import type { Ledger, Status } from "../server/shapes";
import { get } from "../store";

export const BOXES: ReadonlySet<string> = new Set(["component", "unit", "endpoint"]);

export type EdgeState = "on" | "off" | "added" | "removed" | "others" | "between";

/** What differs between the pin and the moment. */
export interface Difference {
  added: number[];
  removed: number[];
  others: number[];
  /** Edges that came and went in between. */
  between: number[];
  /** Edges that stand at both ends, but not all the time. */
  interrupted: number[];
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
  /** The stretches of the path that is shown, with the way in each. */
  way: { born: number; died: number | null; topics?: string[] }[] | null = null;
  /** The ledger of `--with`; null without one. */
  other: Other | null = null;
  /** For each fact of a kind that shows a box, of each history: the box. */
  private factBoxes = new Map<History, Int32Array<ArrayBuffer>>();
  /** Whether the masks are by names, as the other ledger's are. */
  private byName = false;
  private topicPublished: Uint16Array<ArrayBuffer> = new Uint16Array(0);
  private publishedAt = "";
  private anyPublished = false;
  private difference: { key: string; found: Difference } | null = null;

  /** Another window of the same history: the drawing stays where it is. */
  takeHistory(history: History): void {
    this.history = history;
    this.forget();
    if (this.form) this.takeDrawing(this.form);
  }

  private form: DrawingForm | null = null;

  takeDrawing(form: DrawingForm): void {
    this.form = this.history.window ? form : null;
    const places = this.other && form.edges.map(([from, to]) => this.other!.placeOf(`${from} -> ${to}`, this.history));
    this.drawing = new Drawing(form, this.history, places);
    this.factBoxes.clear();
  }

  /** Masks for the moment and, when one is set, the pin. Cost: one scan each. */
  mask(): void {
    const { at, pin, pinOther } = get();
    const edges = this.history.edgeTo.length;
    if (this.byName !== pinOther) {
      this.forget();
      this.byName = pinOther;
    }
    if (this.now.seq !== at || this.now.owners.length !== edges) {
      this.history.at(at, this.now);
      if (pinOther) this.history.nameSigns(at, this.now.sign, nameCodes(this.history));
    }
    if (pin === null || (this.pinned.seq === pin && this.pinned.owners.length === edges)) return;
    if (!pinOther) this.history.at(pin, this.pinned);
    else if (this.other?.history) this.other.at(pin, this.history, this.pinned);
  }

  forget(): void {
    this.pinned.seq = this.now.seq = -1;
    this.publishedAt = "";
    this.difference = null;
    this.other?.forget();
  }

  edgeName(edge: number): string {
    return edge >= FOREIGN ? this.other!.foreign[edge - FOREIGN] : this.history.edgeName(edge);
  }

  /** The place of an edge by its name, also of one that only the other ledger has. */
  edgePlace(name: string): number | undefined {
    return this.history.edgePlace(name) ?? this.other?.foreignPlace(name);
  }

  /** How many facts show each box at the moment. Cost: one scan. */
  boxesNow(out: Uint16Array<ArrayBuffer>): Uint16Array<ArrayBuffer> {
    return this.boxesAt(this.history, get().at, this.now, out);
  }

  /** The same at the pin. */
  boxesThen(out: Uint16Array<ArrayBuffer>): Uint16Array<ArrayBuffer> {
    const { pin, pinOther } = get();
    const there = pinOther ? this.other?.history : this.history;
    return there ? this.boxesAt(there, pin!, this.pinned, out) : out;
  }

  private boxesAt(history: History, seq: number, mask: Mask, out: Uint16Array<ArrayBuffer>): Uint16Array<ArrayBuffer> {
    const drawing = this.drawing;
    if (!drawing) return out;
    const { factBorn, factDied } = history;
    const boxOf = this.findBoxes(drawing, history);
    if (out.length !== drawing.boxes.length) out = new Uint16Array(drawing.boxes.length);
    else out.fill(0);
    const upto = above(factBorn, seq);
    for (let i = 0; i < upto; i++) {
      const box = boxOf[i];
      if (box >= 0 && factDied.data[i] > seq) out[box]++;
    }
    this.touch(drawing, mask, out);
    if (history === this.other?.history) this.touchForeign(drawing, out);
    for (let place = drawing.boxes.length - 1; place >= 0; place--) {
      const parent = drawing.boxes[place].parent;
      if (parent >= 0 && out[place]) out[parent]++;
    }
    return out;
  }

  private touchForeign(drawing: Drawing, out: Uint16Array): void {
    this.other!.foreignOwners.forEach((held, place) => {
      if (!held) return;
      for (const topic of this.other!.foreign[place].split(" -> ")) {
        const box = drawing.ofTopic.get(topic);
        if (box && box.kind !== "collection") out[box.place] = 1;
      }
    });
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

  private findBoxes(drawing: Drawing, history: History): Int32Array<ArrayBuffer> {
    const { factKey, factValue, keys, values } = history;
    const known = this.factBoxes.get(history);
    if (known?.length === factKey.length) return known;
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
    this.factBoxes.set(history, found);
    return found;
  }

  /** Boxes that only the other ledger has: they are there only while the two are compared. */
  foreignBoxes(): ReadonlySet<number> {
    const drawing = this.drawing;
    if (!this.other || !drawing) return NO_BOXES;
    const own = new Set<number>(this.findBoxes(drawing, this.history));
    for (const end of this.edgeBoxes(drawing)) own.add(end);
    const out = new Set<number>();
    for (let place = drawing.boxes.length - 1; place >= 0; place--) {
      if (own.has(place)) own.add(drawing.boxes[place].parent);
      else out.add(place);
    }
    return out;
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
    if (edge >= FOREIGN) return get().pinOther && this.other!.foreignOwners[edge - FOREIGN] ? "removed" : "off";
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
    const { pin, pinOther, at } = get();
    if (pin === null || (pinOther && !this.other?.history)) return null;
    const named = pinOther ? namedNow(this.other!) : null;
    const key = `${pin} ${pinOther} ${at} ${this.history.head} ${named !== null}`;
    if (this.difference?.key === key) return this.difference.found;
    this.mask();
    const { now, pinned } = this;
    const found: Difference = {
      added: [], removed: [], others: [], between: [], interrupted: [], sessionsCame: [], sessionsWent: [], sessionsBetween: [],
      boxesCame: [], boxesWent: [], settings: new Map(),
    };
    this.betweenEdges.clear();
    if (!pinOther) this.findBetween(found, Math.min(pin, at), Math.max(pin, at));
    for (let edge = 0; edge < now.owners.length; edge++) {
      const [is, was] = [now.owners[edge] > 0, pinned.owners[edge] > 0];
      if (is && !was) found.added.push(edge);
      else if (was && !is) found.removed.push(edge);
      else if (is && now.sign[edge] !== pinned.sign[edge]) found.others.push(edge);
    }
    if (pinOther) {
      this.other!.foreignOwners.forEach((held, place) => held && found.removed.push(FOREIGN + place));
      for (const item of named?.settings ?? []) found.settings.set(String(item.component), 1);
    }
    const there = pinOther ? this.other!.history! : this.history;
    const [before, after] = [componentsAt(there, pin), componentsAt(this.history, at)];
    found.boxesCame = [...after].filter((name) => !before.has(name));
    found.boxesWent = [...before].filter((name) => !after.has(name));
    this.difference = { key, found };
    return found;
  }

  /** Within one history: sessions, what came and went between two of its events, and settings that changed. */
  private findBetween(found: Difference, low: number, high: number): void {
    const { history, now, pinned } = this;
    const { pin, at } = get();
    const held = new Uint32Array(now.owners.length); // of edges that stand at both ends: until when without a break
    const broken = new Set<number>();
    const look = (row: number) => {
      const edge = history.edge.data[row];
      const [is, was] = [now.owners[edge] > 0, pinned.owners[edge] > 0];
      if (is !== was) return;
      const [born, died] = [history.born.data[row], history.died.data[row]];
      if (!is) {
        if (born > low && died <= high) this.betweenEdges.add(edge);
        return;
      }
      if (held[edge] && born > held[edge]) broken.add(edge);
      if (died > held[edge]) held[edge] = died;
    };
    for (const row of history.standing(low)) look(row);
    const last = above(history.born, high);
    for (let row = above(history.born, low); row < last; row++) look(row);
    found.between = [...this.betweenEdges];
    found.interrupted = [...broken];
    for (const session of history.sessions.values()) {
      const [is, was] = [lives(session, at), lives(session, pin!)];
      if (is && !was) found.sessionsCame.push(session.id);
      else if (was && !is) found.sessionsWent.push(session.id);
      else if (!is && session.born > low && session.died <= high) found.sessionsBetween.push(session.id);
    }
    for (let i = above(history.setBorn, low); i < history.setBorn.length && history.setBorn.data[i] <= high; i++) {
      const name = String(history.keys[history.setKey.data[i]][1]);
      found.settings.set(name, (found.settings.get(name) ?? 0) + 1);
    }
  }
}

function componentsAt(history: History, seq: number): Set<string> {
  return new Set(history.factsAt(seq, COMPONENTS).map((fact) => String(fact.name)));
}

const COMPONENTS: ReadonlySet<string> = new Set(["component"]);
const NO_BOXES: ReadonlySet<number> = new Set();

const lives = (row: { born: number; died: number }, seq: number) => row.born <= seq && seq < row.died;

export const model = new Model();
