// The ledger of `--with`: its whole history, so that it can be compared with any moment here without a request, by names.
// What only columns of values can tell (settings, and the words for it all) is asked for when the moment rests.
import { Refused, ask, octets } from "../server/api";
import { History, Mask } from "./history";
import type { Diff } from "../server/shapes";
import { get, set, subscribe } from "../store";

/** Places of edges that only the other ledger has begin here: far above those of any history. */
export const FOREIGN = 2 ** 30;

const REST_MS = 250;
const NAMELESS = "a session without a label";

/** Numbers for the names of owners, the same for both ledgers. */
const names = new Map<string, number>([["persistent", 0]]);

export function nameCodes(history: History): (owner: number) => number {
  const known = new Map<number, number>([[0, 0]]);
  return (owner) => {
    let code = known.get(owner);
    if (code === undefined) {
      const name = `"${history.sessions.get(owner)?.label || NAMELESS}"`;
      code = names.get(name) ?? names.size;
      names.set(name, code);
      known.set(owner, code);
    }
    return code;
  };
}

export class Other {
  history: History | null = null;
  /** The names of edges that this ledger has never had. */
  readonly foreign: string[] = [];
  private foreignPlaces = new Map<string, number>();
  private mask = new Mask();
  private places: Uint32Array<ArrayBuffer> = new Uint32Array(0);
  /** How many hold each edge that only the other ledger has, at the moment compared with. */
  foreignOwners: Uint16Array<ArrayBuffer> = new Uint16Array(0);
  /** What differs in words, of some moments. */
  named: { key: string; diff: Diff } | null = null;
  refused: Refused | null = null;

  async load(): Promise<void> {
    if (this.history) return;
    const history = new History();
    history.take(await octets("lifetimes", { with: true }));
    this.history = history;
  }

  /** The place of an edge by its name: that of this ledger's history, or one of its own. */
  placeOf(name: string, here: History): number {
    const place = here.edgePlace(name);
    if (place !== undefined) return place;
    let foreign = this.foreignPlaces.get(name);
    if (foreign === undefined) {
      foreign = this.foreign.length;
      this.foreignPlaces.set(name, foreign);
      this.foreign.push(name);
    }
    return FOREIGN + foreign;
  }

  foreignPlace(name: string): number | undefined {
    const place = this.foreignPlaces.get(name);
    return place === undefined ? undefined : FOREIGN + place;
  }

  /** An edge may have come here since. */
  forget(): void {
    this.places = new Uint32Array(0);
  }

  /** What stood in the other ledger just after its event seq, into a mask over this ledger's edges. Cost: a scan. */
  at(seq: number, here: History, into: Mask): void {
    const there = this.history!;
    const edges = there.edgeTo.length;
    if (this.places.length !== edges) {
      this.places = Uint32Array.from({ length: edges }, (_, edge) => this.placeOf(there.edgeName(edge), here));
    }
    there.at(seq, this.mask);
    there.nameSigns(seq, this.mask.sign, nameCodes(there));
    const count = here.edgeTo.length;
    into.owners = new Uint16Array(count);
    into.sign = new Uint32Array(count);
    into.owner = new Uint32Array(count);
    this.foreignOwners = new Uint16Array(this.foreign.length);
    into.edges = this.mask.edges;
    for (let edge = 0; edge < edges; edge++) {
      const held = this.mask.owners[edge];
      if (!held) continue;
      const place = this.places[edge];
      if (place >= FOREIGN) this.foreignOwners[place - FOREIGN] = held;
      else {
        into.owners[place] = held;
        into.sign[place] = this.mask.sign[edge];
      }
    }
    into.seq = seq;
  }
}

/** Compare with a moment of the other ledger; throws Refused. */
export async function compareWith(other: Other, moment: string): Promise<void> {
  const [diff] = await Promise.all([asked(moment), other.load()]);
  other.named = { key: keyOf(diff.a.seq, diff.b.seq), diff };
  set({ pin: diff.b.seq, pinOther: true });
}

const asked = (moment: string, signal?: AbortSignal) => ask<Diff>("diff", { from: get().at, to: moment, with: true }, signal);

const keyOf = (at: number, there: number) => `${at} ${there}`;

/** What differs in words, when it is known for the moment. */
export function namedNow(other: Other): Diff | null {
  const { at, pin } = get();
  return other.named?.key === keyOf(at, pin!) ? other.named.diff : null;
}

/** Ask for the words whenever the moment rests; `changed` is told when they have come. */
export function followRest(other: Other, changed: () => void): () => void {
  let waiting = 0;
  let abort = new AbortController();
  const load = async () => {
    const { at, pin } = get();
    abort = new AbortController();
    const { signal } = abort;
    try {
      const diff = await asked(String(pin), signal);
      other.refused = null;
      other.named = { key: keyOf(at, pin!), diff };
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Refused)) throw error;
      other.refused = error;
    }
    changed();
  };
  const later = () => {
    clearTimeout(waiting);
    abort.abort();
    if (get().pinOther && get().pin !== null && !namedNow(other)) waiting = window.setTimeout(() => void load(), REST_MS);
  };
  later();
  const stop = subscribe((now, then) => {
    if (now.at !== then.at || now.pin !== then.pin || now.pinOther !== then.pinOther) later();
  });
  return () => (stop(), clearTimeout(waiting), abort.abort());
}
