// A history that is too long for a browser is here in a window of seqs, and settings that are too many for one component
// at a time: what the moment or the selection needs is asked for.
import { Refused, octets } from "./api";
import { History } from "../model/history";
import { model } from "../model/model";
import { parts } from "../model/subject";
import { get, subscribe } from "../store";

const REST_MS = 250;

export interface Loading {
  /** Another stretch is asked for, or has come. */
  busy(around: number | null): void;
  /** There is more to be shown than before. */
  came(history: History | null): void;
  refused(error: Refused): void;
}

/** Keep what is shown within what is known, until the function that is returned is called. */
export function keepKnown(loading: Loading): () => void {
  let waiting = 0;
  let asked = 0;

  const caught = (error: unknown) => {
    loading.busy(null);
    if (!(error instanceof Refused)) throw error;
    loading.refused(error);
  };

  const stretch = async (number: number) => {
    const { at, pin, pinOther } = get();
    const [first, last] = model.history.window!;
    const half = Math.ceil((last - first) / 2);
    const ends = pin === null || pinOther ? [at] : [at, pin];
    const window = { first: Math.max(0, Math.min(...ends) - half), last: Math.min(model.history.head, Math.max(...ends) + half) };
    const history = new History();
    history.take(await octets("lifetimes", window));
    history.setClocks(model.ledger.clocks);
    if (number !== asked) return;
    loading.busy(null);
    loading.came(history);
  };

  const settings = async (unit: string) => {
    const { history } = model;
    history.takeSettings(await octets("lifetimes", { component: unit }), unit);
    if (history === model.history) loading.came(null);
  };

  const look = () => {
    const { at, pin, pinOther, select } = get();
    const { history } = model;
    clearTimeout(waiting);
    if (!history.covers(at) || (pin !== null && !pinOther && !history.covers(pin))) {
      const number = ++asked;
      loading.busy(at);
      waiting = window.setTimeout(() => stretch(number).catch(caught), REST_MS);
    }
    const [kind, name] = select ? parts(select) : ["", ""];
    if ((kind === "unit" || kind === "setting") && !history.hasSettingsOf(name)) settings(name).catch(caught);
  };

  look();
  const stop = subscribe((now, then) => {
    if (now.at !== then.at || now.pin !== then.pin || now.pinOther !== then.pinOther || now.select !== then.select) look();
  });
  return () => (stop(), clearTimeout(waiting), void asked++);
}
