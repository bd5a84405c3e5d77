// The bar above the graph, and the buttons that move through time.
import { useState } from "react";
import { Refused, seqOf } from "./api";
import { exported } from "./export";
import { Refusal } from "./Inspector";
import { model } from "./model";
import { follow, go, pin, play, step, toNow } from "./moves";
import { compareWith } from "./other";
import type { Status, When } from "./shapes";
import { LENSES, type Lens, set, useView } from "./store";
import { zoom } from "./Timeline";
import { clock, day, thousands } from "./times";

const LENS_NAMES: Record<Lens, string> = { wiring: "Wiring", owner: "Owners", settings: "Settings", process: "Processes" };

export function Bar({ status, gone, search }: { status: Status | null; gone: "waiting" | "other" | null; search: () => void }) {
  const lens = useView((view) => view.lens);
  const ghosts = useView((view) => view.ghosts);
  const [saving, setSaving] = useState<string | null>(null);
  const save = async (kind: "svg" | "png") => setSaving(await exported(kind));
  return (
    <header className="bar">
      <h1 title={model.ledger.ledger}>{model.ledger.name}</h1>
      <span className="state" role="status" data-state={gone ? "gone" : status?.written ? "live" : "still"}>
        {gone === "other" ? "another server answers: open its address" : gone ? "the server is gone; waiting for it ..." : status?.written ? "recording" : "closed"}
      </span>
      <div className="lenses" role="group" aria-label="Lens">
        {LENSES.map((each) => (
          <button key={each} type="button" aria-pressed={lens === each} onClick={() => set({ lens: each })}>{LENS_NAMES[each]}</button>
        ))}
      </div>
      <label className="switch"><input type="checkbox" checked={ghosts} onChange={(event) => set({ ghosts: event.target.checked })} /> what is not there</label>
      <span className="space" />
      <button type="button" onClick={search} aria-keyshortcuts="/">Search</button>
      <button type="button" onClick={() => void save("svg")}>SVG</button>
      <button type="button" onClick={() => void save("png")}>PNG</button>
      {saving && <span className="hint" role="status">{saving}</span>}
    </header>
  );
}

export function Transport() {
  const at = useView((view) => view.at);
  const pinned = useView((view) => (view.pinOther ? null : view.pin));
  const following = useView((view) => view.follow);
  const playing = useView((view) => view.playing);
  const speed = useView((view) => view.speed);
  const axis = useView((view) => view.axis);
  const shown = useView((view) => view.window);
  const time = model.history.timeOf(at);
  return (
    <div className="transport" role="group" aria-label="Moving through time">
      <button type="button" aria-label="First event" onClick={() => step(-model.history.head)}>{"|\u2039"}</button>
      <button type="button" aria-label="Previous event" aria-keyshortcuts="ArrowLeft" onClick={() => step(-1)}>{"\u2039"}</button>
      <button type="button" aria-label={playing ? "Pause" : "Play"} aria-keyshortcuts="Space" onClick={() => play(!playing)}>{playing ? "\u275a\u275a" : "\u25b6\ufe0e"}</button>
      <button type="button" aria-label="Next event" aria-keyshortcuts="ArrowRight" onClick={() => step(1)}>{"\u203a"}</button>
      <button type="button" aria-label="Last event" aria-keyshortcuts="Escape" onClick={toNow}>{"\u203a|"}</button>
      <select aria-label="Speed" value={speed} onChange={(event) => set({ speed: Number(event.target.value) })}>
        {[1, 4, 16, 64, 256, 1024].map((each) => <option key={each} value={each}>{each} a second</option>)}
      </select>
      <button type="button" aria-pressed={following} onClick={() => follow(!following)} aria-keyshortcuts="f">Follow</button>
      <button type="button" aria-pressed={pinned !== null} onClick={pin} aria-label="Pin this moment" aria-keyshortcuts="p">
        {pinned === null ? "Pin this moment" : `Pinned ${pinned}`}
      </button>
      <GoTo at={at} />
      <output className="moment">{time > 0 && `${day(time)} ${clock(time)}`}</output>
      <span className="space" />
      <Ask />
      <button type="button" aria-pressed={axis === "time"} onClick={() => set({ axis: axis === "time" ? "seq" : "time" })}>Wall time</button>
      <button type="button" aria-label="Zoom in on the timeline" onClick={() => zoom(0.5)}>+</button>
      <button type="button" aria-label="Zoom out of the timeline" onClick={() => zoom(2)}>{"\u2212"}</button>
      <button type="button" disabled={!shown} onClick={() => set({ window: null })}>All</button>
    </div>
  );
}

/** The seq of the moment, to be read and written: every moment that the command line takes. */
function GoTo({ at }: { at: number }) {
  const [error, setError] = useState<Refused | null>(null);
  const enter = async (event: React.FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const input = event.currentTarget.elements.namedItem("moment") as HTMLInputElement;
    try {
      go(await seqOf(input.value));
      setError(null);
      input.blur();
    } catch (refused) {
      if (!(refused instanceof Refused)) throw refused;
      setError(refused);
    }
  };
  return (
    <form className="goto" onSubmit={enter}>
      <label>seq <input name="moment" key={at} type="text" aria-label="Go to" defaultValue={at} title="A seq, a time, -5m, mark:NAME, session:ID, run:N, start, end" /></label>
      {error && <div className="over"><Refusal error={error} /></div>}
    </form>
  );
}

/** Takes the predicates of `when`, and shows when each was true as stretches on the timeline. */
function Ask() {
  const asked = useView((view) => view.ask);
  const ask_ = (event: React.FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    set({ ask: String(new FormData(event.currentTarget).get("predicate") ?? "").trim() });
  };
  return (
    <form className="ask" onSubmit={ask_} role="search" aria-label="Ask">
      <input name="predicate" key={asked} type="search" aria-label="Ask" defaultValue={asked} placeholder="edges > 3, session viewer ..." title="A predicate, as ezmsg-ledger when takes it" />
    </form>
  );
}

export function Asked({ answer }: { answer: When | Refused | null }) {
  if (!answer) return null;
  if (answer instanceof Refused) return <div className="asked"><Refusal error={answer} /></div>;
  return (
    <div className="asked" role="status">
      <b>{answer.predicate}</b>
      {answer.spans.length
        ? ` was true ${thousands(answer.spans.length)} ${answer.spans.length === 1 ? "time" : "times"}, first at seq ${answer.first}; ${answer.now ? "it is true" : "it is not true"} at the end`
        : " was never true"}
      <button type="button" className="close" aria-label="Forget this question" onClick={() => set({ ask: "" })}>&times;</button>
    </div>
  );
}

/** The other ledger: a moment of it is pinned, and what is here compared with it by names. */
export function With() {
  const other = model.ledger.other;
  const pin = useView((view) => (view.pinOther ? view.pin : null));
  const [refused, setRefused] = useState<Refused | null>(null);
  const [busy, setBusy] = useState(false);
  if (!other) return null;
  const compare = async (event: React.FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const moment = String(new FormData(event.currentTarget).get("moment") ?? "").trim() || "end";
    setBusy(true);
    try {
      await compareWith(model.other!, moment);
      setRefused(null);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      setRefused(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form className="with" role="group" aria-label="Compare with the other ledger" onSubmit={compare}>
      <span title={other.ledger}>beside <b>{baseName(other.ledger)}</b></span>
      <label>at <input name="moment" key={pin} type="text" aria-label="Moment of the other ledger" defaultValue={pin ?? "end"} title="A seq, a time, mark:NAME, run:N, start, end: of the other ledger" /></label>
      <button type="submit" disabled={busy}>{busy ? "comparing ..." : "Compare"}</button>
      {pin !== null && <button type="button" onClick={() => set({ pin: null, pinOther: false })}>Stop</button>}
      {refused && <Refusal error={refused} />}
    </form>
  );
}

export const baseName = (path: string): string => path.split(/[\\/]/).pop() ?? path;
