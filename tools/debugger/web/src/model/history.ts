// The history of the graph as columns: every fact is a row with the seq that made it and the one that ended it. Any
// moment is a mask over them, born <= seq < died, found without a request.

import type { Clock } from "../server/shapes";

export const LASTS = 0xffffffff;

/** Numbers that grow at their end. */
export class Grown<T extends Uint32Array | Float64Array> {
  length = 0;
  constructor(
    private make: (size: number) => T,
    public data: T = make(0),
  ) {}

  add(more: ArrayLike<number>): void {
    const need = this.length + more.length;
    if (need > this.data.length) {
      const larger = this.make(this.length ? Math.max(need, this.data.length * 2) : need);
      larger.set(this.data.subarray(0, this.length) as never);
      this.data = larger;
    }
    this.data.set(more as never, this.length);
    this.length = need;
  }
}

const words = () => new Grown<Uint32Array>((size) => new Uint32Array(size));
const reals = () => new Grown<Float64Array>((size) => new Float64Array(size));

export interface Session {
  id: number;
  label: string | null;
  peer: string | null;
  born: number;
  died: number;
}

interface Head {
  version: number;
  epoch: number;
  after: number;
  head: number;
  window: [number, number] | null;
  topics: string[];
  keys: [string, string | number | null][];
  values: unknown[];
  settings_kept: boolean;
  settings_count: number;
  columns: Record<string, { type: "u32" | "i64"; offset: number; length: number }>;
}

/** Rows of holds between two notes of which of them stand: a moment is found from the note before it. */
const NOTE_EVERY = 2 ** 14;

type Taken = (name: string) => Uint32Array;

/** What stands at one moment: how many hold each edge, who the first is, and a number that tells other owners apart. */
export class Mask {
  seq = -1;
  owners: Uint16Array<ArrayBuffer> = new Uint16Array(0);
  owner: Uint32Array<ArrayBuffer> = new Uint32Array(0);
  sign: Uint32Array<ArrayBuffer> = new Uint32Array(0);
  facts: Uint16Array<ArrayBuffer> = new Uint16Array(0);
  edges = 0;
}

export class History {
  head = 0;
  epoch = 0;
  window: [number, number] | null = null;
  settingsKept = true;
  settingsCount = 0;
  readonly topics: string[] = [];
  readonly topicPlace = new Map<string, number>();
  readonly keys: [string, string | number | null][] = [];
  readonly values: unknown[] = [];
  readonly edgeFrom = words();
  readonly edgeTo = words();
  readonly born = words();
  readonly died = words();
  readonly edge = words();
  readonly owner = words();
  readonly factKey = words();
  readonly factValue = words();
  readonly factBorn = words();
  readonly factDied = words();
  readonly setKey = words();
  readonly setBorn = words();
  readonly setDied = words();
  readonly timeSeq = words();
  readonly time = reals();
  /** Seconds since the first event, as they passed: for each row of times. */
  readonly elapsed = reals();
  private clocks: Clock[] = [];
  readonly sessions = new Map<number, Session>();
  private edgePlaces: Map<string, number> | null = null;
  /** Of each NOTE_EVERY rows: those up to its end that stood when its last one was born. */
  private notes: Uint32Array[] = [];
  private rows: Uint32Array<ArrayBuffer> = new Uint32Array(0);

  /** Take in what the server sent: everything, or what is new. Returns false when it does not go on from here. */
  take(octets: ArrayBuffer): boolean {
    const view = new DataView(octets);
    const size = view.getUint32(8, true);
    const head: Head = JSON.parse(new TextDecoder().decode(new Uint8Array(octets, 12, size)));
    if (head.after !== this.head || (this.epoch && head.epoch !== this.epoch)) return false;
    const begin = 12 + size;
    const take: Taken = (name) => {
      const column = head.columns[name];
      return column ? new Uint32Array(octets, begin + column.offset, column.length) : new Uint32Array(0);
    };
    this.takeHolds(take);
    this.takeFacts(take, head);
    const times = head.columns["time.ns"];
    const low = new Uint32Array(octets, begin + times.offset, times.length * 2);
    const seconds = new Float64Array(times.length);
    for (let i = 0; i < times.length; i++) {
      // the high word is signed; a millionth of a second is left of the precision of a number
      seconds[i] = ((low[2 * i + 1] | 0) * 4294967296 + low[2 * i]) / 1e9;
    }
    this.timeSeq.add(take("time.seq"));
    this.time.add(seconds);
    this.measure();
    this.head = head.head;
    this.epoch = head.epoch;
    this.window = head.window;
    this.settingsKept = head.settings_kept;
    this.settingsCount = head.settings_count;
    this.readSessions();
    return true;
  }

  private takeHolds(take: Taken): void {
    const rows = take("ended.row");
    const ends = take("ended.died");
    for (let i = 0; i < rows.length; i++) this.died.data[rows[i]] = ends[i];
    this.born.add(take("hold.born"));
    this.died.add(take("hold.died"));
    this.edge.add(take("hold.edge"));
    this.owner.add(take("hold.owner"));
    const before = this.edgeTo.length;
    this.edgeFrom.add(take("edge.from"));
    this.edgeTo.add(take("edge.to"));
    if (this.edgeTo.length !== before) this.edgePlaces = null;
  }

  private takeFacts(take: Taken, head: Head): void {
    for (const topic of head.topics) {
      this.topicPlace.set(topic, this.topics.length);
      this.topics.push(topic);
    }
    this.keys.push(...head.keys);
    this.values.push(...head.values);
    const rows = take("fact.ended.row");
    const ends = take("fact.ended.died");
    const values = take("fact.ended.value");
    for (let i = 0; i < rows.length; i++) {
      this.factDied.data[rows[i]] = ends[i];
      this.factValue.data[rows[i]] = values[i];
    }
    const places = take("setting.ended.row");
    const died = take("setting.ended.died");
    for (let i = 0; i < places.length; i++) this.setDied.data[places[i]] = died[i];
    this.factKey.add(take("fact.key"));
    this.factValue.add(take("fact.value"));
    this.factBorn.add(take("fact.born"));
    this.factDied.add(take("fact.died"));
    this.setKey.add(take("setting.key"));
    this.setBorn.add(take("setting.born"));
    this.setDied.add(take("setting.died"));
  }

  private readSessions(): void {
    for (let i = 0; i < this.factKey.length; i++) {
      const [kind, name] = this.keys[this.factKey.data[i]];
      if (kind !== "session") continue;
      const [label, peer] = this.values[this.factValue.data[i]] as [string | null, string | null];
      const id = name as number;
      this.sessions.set(id, { id, label, peer, born: this.factBorn.data[i], died: this.factDied.data[i] });
    }
  }

  /** The rows of the holds that stand just after event seq, in rising order; good until the next question.
   *
   * A hold that had ended by a note's event has ended for every later moment, and one that ends later than was known
   * then is in the note: notes never change. Cost: what stands and NOTE_EVERY; the first time a scan.
   */
  standing(seq: number): Uint32Array {
    const upto = above(this.born, seq);
    const note = Math.floor(upto / NOTE_EVERY);
    while (this.notes.length < note) {
      const begin = this.notes.length * NOTE_EVERY;
      const last = begin + NOTE_EVERY;
      this.notes.push(this.sift(this.notes[this.notes.length - 1], begin, last, this.born.data[last - 1]).slice());
    }
    return this.sift(this.notes[note - 1], note * NOTE_EVERY, upto, seq);
  }

  /** Of the rows of a note and those from `begin` on, before `end`, those that stand after event seq. */
  private sift(noted: Uint32Array | undefined, begin: number, end: number, seq: number): Uint32Array {
    const died = this.died.data;
    const most = (noted?.length ?? 0) + end - begin;
    if (this.rows.length < most) this.rows = new Uint32Array(2 * most);
    const { rows } = this;
    let count = 0;
    if (noted) {
      for (let i = 0; i < noted.length; i++) {
        rows[count] = noted[i];
        if (died[noted[i]] > seq) count++;
      }
    }
    for (let row = begin; row < end; row++) {
      rows[count] = row;
      if (died[row] > seq) count++;
    }
    return rows.subarray(0, count);
  }

  /** What stands just after event seq, into `mask`, whose columns are used again. */
  at(seq: number, mask: Mask): Mask {
    const edges = this.edgeTo.length;
    if (mask.owners.length !== edges) {
      mask.owners = new Uint16Array(edges);
      mask.owner = new Uint32Array(edges);
      mask.sign = new Uint32Array(edges);
    } else {
      mask.owners.fill(0);
      mask.sign.fill(0);
    }
    const { owners, owner, sign } = mask;
    const edge = this.edge.data;
    const who = this.owner.data;
    const rows = this.standing(seq);
    let count = 0;
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i];
      const e = edge[row];
      if (owners[e]++ === 0) {
        owner[e] = who[row];
        count++;
      }
      sign[e] = (sign[e] + Math.imul(who[row] + 1, 2654435761)) >>> 0;
    }
    mask.edges = count;
    mask.seq = seq;
    return mask;
  }

  /** Who holds an edge just after event seq: ids of sessions, 0 for the persistent owner. */
  holders(place: number, seq: number): number[] {
    const out: number[] = [];
    for (const row of this.standing(seq)) if (this.edge.data[row] === place) out.push(this.owner.data[row]);
    return out.sort((a, b) => a - b);
  }

  /** Who holds each edge just after event seq, in rising order. */
  allHolders(seq: number): Map<number, number[]> {
    const out = new Map<number, number[]>();
    for (const row of this.standing(seq)) {
      const list = out.get(this.edge.data[row]);
      if (list) list.push(this.owner.data[row]);
      else out.set(this.edge.data[row], [this.owner.data[row]]);
    }
    for (const list of out.values()) list.sort((a, b) => a - b);
    return out;
  }

  /** How many holds each owner ever had, the owners in the order of their first ones. */
  holdsByOwner(): Map<number, number> {
    const out = new Map<number, number>();
    const owner = this.owner.data;
    let most = 0;
    for (let i = 0; i < this.owner.length; i++) if (owner[i] > most) most = owner[i];
    const counts = new Uint32Array(most + 1);
    for (let i = 0; i < this.owner.length; i++) if (counts[owner[i]]++ === 0) out.set(owner[i], 0);
    for (const each of out.keys()) out.set(each, counts[each]);
    return out;
  }

  /** Every hold on one edge. */
  holdsOn(place: number): { born: number; died: number; owner: number }[] {
    const out = [];
    for (let i = 0; i < this.edge.length; i++) {
      if (this.edge.data[i] === place) out.push({ born: this.born.data[i], died: this.died.data[i], owner: this.owner.data[i] });
    }
    return out;
  }

  edgeName(place: number): string {
    return `${this.topics[this.edgeFrom.data[place]]} -> ${this.topics[this.edgeTo.data[place]]}`;
  }

  edgePlace(name: string): number | undefined {
    if (!this.edgePlaces) {
      this.edgePlaces = new Map();
      for (let i = 0; i < this.edgeTo.length; i++) this.edgePlaces.set(this.edgeName(i), i);
    }
    return this.edgePlaces.get(name);
  }

  /** The facts of some kinds that stand just after event seq, with what is noted of them. */
  factsAt(seq: number, kinds: ReadonlySet<string>): { kind: string; name: string | number | null; value: unknown; born: number }[] {
    const out = [];
    const upto = above(this.factBorn, seq);
    for (let i = 0; i < upto; i++) {
      if (this.factDied.data[i] <= seq) continue;
      const [kind, name] = this.keys[this.factKey.data[i]];
      if (kinds.has(kind)) out.push({ kind, name, value: this.values[this.factValue.data[i]], born: this.factBorn.data[i] });
    }
    return out;
  }

  /** Whether what stood at event seq is known: of a very long history only a window is here. */
  covers(seq: number): boolean {
    return this.window === null || (this.window[0] <= seq && seq <= this.window[1]);
  }

  /** Where settings are too many to be sent at once: take in those of one component. */
  takeSettings(octets: ArrayBuffer, component: string): void {
    const size = new DataView(octets).getUint32(8, true);
    const head: Head = JSON.parse(new TextDecoder().decode(new Uint8Array(octets, 12, size)));
    const { offset, length } = head.columns["setting.born"];
    this.settingsOf.set(component, [...new Uint32Array(octets, 12 + size + offset, length)]);
  }

  hasSettingsOf(component: string): boolean {
    return this.settingsKept || this.settingsOf.has(component);
  }

  private settingsOf = new Map<string, number[]>();

  /** The seqs at which a component's settings changed, of those that were sent. */
  settingChanges(component: string): number[] {
    if (!this.settingsKept) return this.settingsOf.get(component) ?? [];
    const out: number[] = [];
    for (let i = 0; i < this.setKey.length; i++) if (this.keys[this.setKey.data[i]][1] === component) out.push(this.setBorn.data[i]);
    return out;
  }

  /** The life of a fact that lives once, such as a process, and what is noted of it. */
  lifeOf(kind: string, name: string | number): { born: number; died: number; value: unknown } | null {
    const key = this.keys.findIndex(([each, other]) => each === kind && other === name);
    if (key < 0) return null;
    for (let i = 0; i < this.factKey.length; i++) {
      if (this.factKey.data[i] === key) return { born: this.factBorn.data[i], died: this.factDied.data[i], value: this.values[this.factValue.data[i]] };
    }
    return null;
  }

  /** The last event up to seq that took an edge's hold away; 0 when there is none. Cost: a scan. */
  lastGone(seq: number): number {
    let last = 0;
    for (let i = 0; i < this.died.length; i++) {
      const died = this.died.data[i];
      if (died > last && died <= seq) last = died;
    }
    return last;
  }

  /** For each edge that stands just after event seq a number that tells the names of its owners apart, into `sign`. */
  nameSigns(seq: number, sign: Uint32Array, codeOf: (owner: number) => number): void {
    sign.fill(0);
    for (const row of this.standing(seq)) {
      const edge = this.edge.data[row];
      sign[edge] = (sign[edge] + Math.imul(codeOf(this.owner.data[row]) + 1, 2654435761)) >>> 0;
    }
  }

  /** The time of event seq in seconds since the epoch; 0 before the first. */
  timeOf(seq: number): number {
    const place = above(this.timeSeq, seq) - 1;
    return place < 0 ? 0 : this.time.data[place];
  }

  /** What the readings of the recorder's clocks say: from now on, time between events is what really passed. */
  setClocks(clocks: Clock[]): void {
    this.clocks = clocks;
    this.elapsed.length = 0;
    this.measure();
  }

  /** The seconds that had passed since the first event, for rows of times that are new. Cost: O(new rows). */
  private measure(): void {
    const from = this.elapsed.length;
    const more = new Float64Array(this.time.length - from);
    let reading = -1;
    const readingAt = (seq: number): Clock | null => {
      while (reading + 1 < this.clocks.length && this.clocks[reading + 1].seq <= seq) reading++;
      const found = this.clocks[reading];
      return found && found.clock !== null ? found : null;
    };
    let last = from ? this.elapsed.data[from - 1] : 0;
    let before = from ? readingAt(this.timeSeq.data[from - 1]) : null;
    for (let i = from; i < this.time.length; i++) {
      const now = readingAt(this.timeSeq.data[i]);
      if (i) {
        const wall = this.time.data[i] - this.time.data[i - 1];
        const moved = now && before && now.clock === before.clock ? (now.offset - before.offset) / 1e9 : 0;
        last += Math.max(0, wall - moved);
      }
      more[i - from] = last;
      before = now;
    }
    this.elapsed.add(more);
  }

  /** The seconds that had passed since the first event when event seq came, whatever the clock on the wall did. */
  elapsedAt(seq: number): number {
    const place = above(this.timeSeq, seq) - 1;
    return place < 0 ? 0 : this.elapsed.data[place];
  }

  /** The last event that had come after so many seconds. */
  seqAfter(elapsed: number): number {
    const row = this.rowAfter(elapsed);
    if (row + 1 >= this.time.length) return this.head;
    return Math.max(0, this.timeSeq.data[row + 1] - 1);
  }

  /** The time on the wall, in seconds since the epoch, after so many seconds. */
  wallAt(elapsed: number): number {
    const row = Math.max(0, this.rowAfter(elapsed));
    return this.time.length ? this.time.data[row] + elapsed - this.elapsed.data[row] : 0;
  }

  private rowAfter(elapsed: number): number {
    let low = 0;
    let high = this.elapsed.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.elapsed.data[middle] <= elapsed) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  sessionName(id: number): string {
    if (id === 0) return "persistent";
    const session = this.sessions.get(id);
    return session?.label || session?.peer || `session ${id}`;
  }
}

/** How many of a rising column are not above a value. */
export function above(column: Grown<Uint32Array>, value: number): number {
  let low = 0;
  let high = column.length;
  const data = column.data;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (data[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
