// The bar above the graph, and the buttons that move through time.
import { useRef, useState } from "react";
import { Refused, seqOf } from "../server/api";
import { exported } from "../graph/export";
import { Legend } from "../graph/Legend";
import { parts } from "../model/subject";
import { Refusal, Seq, baseName } from "./parts";
import { model } from "../model/model";
import { follow, go, pin, play, step, toNow } from "../model/moves";
import { compareWith } from "../model/other";
import type { Status, When } from "../server/shapes";
import { LENSES, type Lens, get, set, useView } from "../store";
import { zoom } from "../timeline/Timeline";
import { clock, count, day, span } from "../times";

const LENS_NAMES: Record<Lens, string> = { wiring: "Wiring", owner: "Owners", settings: "Settings", process: "Processes" };

interface State {
  status: Status | null;
  gone: "waiting" | "other" | null;
  version: number;
  search: () => void;
}

export function Bar({ status, gone, version, search }: State) {
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
      <label className="switch" title="Show in grey what is not there at the moment, but was or will be"><input type="checkbox" checked={ghosts} onChange={(event) => set({ ghosts: event.target.checked })} /> absent in grey</label>
      <Legend version={version} />
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
      <label>seq <input name="moment" key={at} type="text" aria-label="Go to" defaultValue={at} style={{ width: `${Math.max(9, String(at).length + 3)}ch` }} title="A seq, a time, -5m, mark:NAME, session:ID, run:N, start, end" /></label>
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
  const [open, setOpen] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const take = (predicate: string) => {
    input.current!.value = predicate;
    input.current!.focus();
  };
  return (
    <form className="ask" onSubmit={ask_} role="search" aria-label="Ask" onFocus={() => setOpen(true)} onBlur={(event) => !event.currentTarget.contains(event.relatedTarget) && setOpen(false)}>
      <input
        ref={input} name="predicate" key={asked} type="search" aria-label="Ask" aria-keyshortcuts="a" defaultValue={asked}
        placeholder="ask when: edges &gt; 3 ..." title="A predicate, as ezmsg-ledger when takes it"
      />
      {open && (
        <div className="examples">
          <p className="hint">When was it so? For example (also with and, or, not, and parentheses):</p>
          <ul aria-label="Predicates">{predicates().map((each) => <li key={each}><button type="button" onClick={() => take(each)}>{each}</button></li>)}</ul>
        </div>
      )}
    </form>
  );
}

/** One of each kind of predicate, about what is in this ledger; what is selected comes first. */
function predicates(): string[] {
  const { history } = model;
  const { select } = get();
  const name = (text: string) => (/^[^\s"()=<>!]+$/.test(text) ? text : JSON.stringify(text));
  const out: string[] = [];
  if (select) {
    const [kind, what] = parts(select);
    if (kind === "edge") out.push(select.split(" -> ").map(name).join(" -> "), `path ${select.split(" -> ").map(name).join(" -> ")}`);
    else if (kind === "session") out.push(`session ${what}`);
    else if (kind === "topic") out.push(`topic ${name(what)}`, `publisher ${name(what)}`, `subscriber ${name(what)}`, `stalled ${name(what)}`);
    else if (kind === "unit") out.push(`unit ${name(what)}`, `component ${name(what)}`, `${name(what)}.FIELD == 1`);
    else if (kind === "collection") out.push(`component ${name(what)}`);
  }
  if (history.edgeTo.length) {
    const edge = history.edgeName(0).split(" -> ").map(name).join(" -> ");
    out.push(edge, `path ${edge}`);
  }
  const session = [...history.sessions.values()].find((each) => each.label);
  if (session) out.push(`session ${name(session.label!)}`, `not session ${name(session.label!)}`);
  const last = history.setKey.length - 1; // the last that changed: one that has fields
  if (last >= 0) out.push(`${name(String(history.keys[history.setKey.data[last]][1]))}.FIELD > 1`);
  out.push("paused", ...["edges", "topics", "sessions", "processes", "components", "publishers", "subscribers"].map((noun) => `${noun} >= 2`));
  return [...new Set(out)];
}

const STRETCHES_MAX = 200;

export function Asked({ answer }: { answer: When | Refused | null }) {
  if (!answer) return null;
  const forget = <button type="button" className="close" aria-label="Forget this question" onClick={() => set({ ask: "" })}>&times;</button>;
  if (answer instanceof Refused) return <div className="asked"><Refusal error={answer} />{forget}</div>;
  const { spans } = answer;
  return (
    <div className="asked">
      <span role="status">
        <b>{answer.predicate}</b>
        {spans.length
          ? ` was true ${count(spans.length, "time")}, for ${span(answer.ns / 1e9)} in all, first at seq ${answer.first}; it is ${answer.now ? "" : "not "}true at the end`
          : " was never true"}
      </span>
      {forget}
      {spans.length > 0 && (
        <details>
          <summary>{spans.length === 1 ? "the stretch" : "the stretches"}</summary>
          <ol aria-label="Stretches">
            {spans.slice(0, STRETCHES_MAX).map((each) => (
              <li key={each.born}>
                <Seq seq={each.born} />
                {each.came?.text ?? "so from the beginning"}
                {each.died !== null && <> &hellip; <Seq seq={each.died} />{each.went?.text ?? ""}</>}
                {each.died === null && " \u2026 still so"}
                <span className="hint">{` (${span(each.ns / 1e9)})`}</span>
              </li>
            ))}
            {spans.length > STRETCHES_MAX && <li className="hint">and {spans.length - STRETCHES_MAX} more</li>}
          </ol>
        </details>
      )}
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
