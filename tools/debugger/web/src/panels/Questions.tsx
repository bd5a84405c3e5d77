// Questions about the selection that have an answer of their own: a path, why nothing arrives, what if, doubts.
import { useEffect, useState } from "react";
import { Refused, ask } from "../server/api";
import { view } from "../graph/Graph";
import { LASTS } from "../model/history";
import { model } from "../model/model";
import { parts } from "../model/subject";
import { Asking, Bars, Group, Link, Refusal, Sentence, Seq, quoted, text } from "./parts";
import type { Doubts as DoubtsForm, Explanation, Path, SettingDoubt, State, WhatIf } from "../server/shapes";
import { get, set, useView } from "../store";
import { count, span } from "../times";

const UPSTREAM_MAX = 12;
const TOPICS_MAX = 2000;
const DOUBTS_MAX = 50;

/** Asks when a button is pressed; what was answered is forgotten when `about` changes. */
function useAnswer<T>(about: string, question: () => Promise<T>): [found: T | null, refused: Refused | null, busy: boolean, load: () => void] {
  const [found, setFound] = useState<T | null>(null);
  const [refused, setRefused] = useState<Refused | null>(null);
  const [busy, setBusy] = useState(false);
  const clear = () => (setFound(null), setRefused(null));
  useEffect(clear, [about]);
  const load = () => {
    clear();
    setBusy(true);
    question()
      .then(setFound, (error: unknown) => {
        if (!(error instanceof Refused)) throw error;
        setRefused(error);
      })
      .finally(() => setBusy(false));
  };
  return [found, refused, busy, load];
}

// --- a path ------------------------------------------------------------------------------------------------------------

/** A path as the address has it: `A -> B`, or `A ~> B` when it may lead through units. */
export const pathOf = (text: string): { a: string; b: string; through: boolean } | null => {
  const [, a, sign, b] = /^(\S.*) (->|~>) (\S.*)$/.exec(text) ?? [];
  return a ? { a, b, through: sign === "~>" } : null;
};

/** From the selection to another topic, or from there to it. */
export function PathFrom({ subject }: { subject: string }) {
  const [kind, name] = parts(subject);
  const box = model.drawing?.byAddress.get(name);
  const mine = kind === "topic" ? [name] : kind === "edge" ? name.split(" -> ") : (box?.ports ?? []).map((port) => port.topic);
  if (!mine.length) return null;
  const submit = (event: React.FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const [here, there] = [String(form.get("mine")), String(form.get("there") ?? "").trim()];
    if (!there) return;
    const [a, b] = form.get("direction") === "to" ? [here, there] : [there, here];
    set({ path: `${a} ${form.get("through") ? "~>" : "->"} ${b}` });
  };
  return (
    <details className="question">
      <summary>A path from or to here</summary>
      <form onSubmit={submit} aria-label="Path">
        <select name="mine" aria-label="This topic" defaultValue={mine[mine.length - 1]}>{mine.map((topic) => <option key={topic}>{topic}</option>)}</select>
        <select name="direction" aria-label="Direction"><option value="to">leads to</option><option value="from">is reached from</option></select>
        <input name="there" list="topics" aria-label="The other topic" placeholder="topic" required />
        <datalist id="topics">{model.history.topics.slice(0, TOPICS_MAX).map((topic) => <option key={topic} value={topic} />)}</datalist>
        <label><input type="checkbox" name="through" defaultChecked /> through units</label>
        <button type="submit">Show the path</button>
      </form>
    </details>
  );
}

/** A path: its way at the moment, on the drawing and in a list, and when there was one. It is asked for once. */
export function Way({ path, version }: { path: string; version: number }) {
  const at = useView((view) => view.at);
  const [found, setFound] = useState<Path | null>(null);
  const [refused, setRefused] = useState<Refused | null>(null);
  useEffect(() => {
    const asked = pathOf(path);
    const abort = new AbortController();
    const show = (answer: Path | null, error: Refused | null) => {
      if (abort.signal.aborted) return;
      setFound(answer);
      setRefused(error);
      model.way = answer?.spans ?? null;
      view.painter?.paintAll();
    };
    if (!asked) return show(null, new Refused({ kind: "Misuse", message: `${path} is not a path`, hint: "Such as: A -> B" }, 400));
    ask<Path>("path", { from: asked.a, to: asked.b, through_units: asked.through }, abort.signal).then(
      (answer) => show(answer, null),
      (error: unknown) => {
        if (error instanceof Refused) show(null, error);
        else if (!abort.signal.aborted) throw error;
      },
    );
    return () => {
      abort.abort();
      model.way = null;
      view.painter?.paintAll();
    };
  }, [path, version]);
  const now = found?.spans.find((each) => each.born <= at && (each.died === null || at < each.died));
  const before = found?.spans.filter((each) => each.died !== null && each.died <= at).pop();
  const later = found?.spans.find((each) => each.born > at);
  const topics = now?.topics ?? [];
  return (
    <div className="way" role="region" aria-label="Path">
      <h2 className="subject">
        <span className="kind">path</span>
        <span>{path.replace("~>", "\u2192").replace("->", "\u2192")}</span>
        <button type="button" className="close" aria-label="Forget this path" onClick={() => set({ path: "" })}>&times;</button>
      </h2>
      {refused && <Refusal error={refused} />}
      {!found && !refused && <p className="hint">asking ...</p>}
      {found && (
        <>
          {found.spans.length === 0 && <p>{`There never was a way${found.through_units ? "" : " over edges alone; try through units"}.`}</p>}
          {found.spans.length > 0 && !now && <p>There is no way at this moment.</p>}
          {topics.length > 0 && (
            <ol className="steps" aria-label="Steps">
              {topics.slice(1).map((topic, place) => {
                const edge = `${topics[place]} -> ${topic}`;
                const isEdge = model.history.edgePlace(edge) !== undefined;
                return <li key={edge}>{isEdge ? <Link subject={edge}>{`${place ? "" : `${topics[0]} `}\u2192 ${topic}`}</Link> : <span className="hint">{`through the unit \u2192 ${topic}`}</span>}</li>;
              })}
            </ol>
          )}
          {!now && before?.went && <div className="why"><span className="hint">it went:</span><Sentence cause={before.went} /></div>}
          {!now && later?.came && <div className="why"><span className="hint">{before ? "it came again later:" : "it came later:"}</span><Sentence cause={later.came} /></div>}
          {found.spans.length > 0 && (
            <>
              <Bars rows={found.spans.map((each) => ({ born: each.born, died: each.died ?? LASTS }))} at={at} />
              <p className="hint">{`there ${count(found.spans.length, "time")}, broke ${count(found.broken, "time")}, for ${span(found.ns / 1e9)} in all`}</p>
            </>
          )}
          <Asking
            command={`path ${quoted(model.ledger.name)} ${quoted(found.a)} ${quoted(found.b)}${found.through_units ? " --through-units" : ""} --at ${at}`}
            library={`timeline.path(${JSON.stringify(found.a)}, ${JSON.stringify(found.b)}, ${at}${found.through_units ? ", through_units=True" : ""})`}
            copy={found}
          />
        </>
      )}
    </div>
  );
}

// --- why nothing arrives -------------------------------------------------------------------------------------------------

export function Explain({ topic }: { topic: string }) {
  const [found, refused, busy, load] = useAnswer(topic, () => ask<Explanation>("explain", { topic, at: get().at }));
  return (
    <>
      <p><button type="button" disabled={busy} onClick={load}>Why does nothing arrive here?</button></p>
      {refused && <Refusal error={refused} />}
      {found && (
        <div className="why" role="region" aria-label="Explanation">
          <p className="hint">at seq {found.moment.seq}:</p>
          {found.reasons.map((reason) => <p key={reason}>{reason}</p>)}
          {[...found.stalled, ...(found.paused ? [found.paused] : [])].map((life) => <Sentence key={`${life.kind} ${life.born}`} cause={life.came} />)}
          {!found.reasons.length && <p>Nothing in the graph is in the way: see whether the publishers publish.</p>}
          <Loops loops={found.loops ?? []} />
          {found.upstream.length > 0 && <h3>Upstream</h3>}
          {found.upstream.slice(0, UPSTREAM_MAX).map((each) => (
            <div key={each.topic}>
              <Link subject={`topic ${each.topic}`}>{each.topic}</Link>
              <span className="hint">
                {`${each.reaches ? "leads here" : "no longer leads here"}; ${each.publishers.length ? count(each.publishers.length, "publisher") : each.published ? "its publisher is gone" : "it never had a publisher"}`}
              </span>
              {each.cut && <Sentence cause={each.cut} />}
            </div>
          ))}
          {found.upstream.length > UPSTREAM_MAX && <p className="hint">and {found.upstream.length - UPSTREAM_MAX} more</p>}
          <Asking
            command={`explain ${quoted(model.ledger.name)} ${quoted(topic)} --at ${found.moment.seq}`}
            library={`timeline.explain(${JSON.stringify(topic)}, ${found.moment.seq})`} copy={found}
          />
        </div>
      )}
    </>
  );
}

/** What a relay sends comes back to it. */
function Loops({ loops }: { loops: string[][] }) {
  return loops.map((loop) => (
    <div key={loop.join(" ")} className="loop" role="note">
      <p><b>{`${loop[0]} feeds itself`}</b>: each message comes back for ever</p>
      <ol className="steps">{loop.map((topic, place) => <li key={place}><Link subject={`topic ${topic}`}>{place ? `\u2192 ${topic}` : topic}</Link></li>)}</ol>
    </div>
  ));
}

// --- what may be otherwise -----------------------------------------------------------------------------------------------

/** Looks for loops at the moment and for doubts up to it. */
export function Check({ at }: { at: number }) {
  const question = async () => ({
    state: await ask<State>("state", { at: get().at }),
    doubts: (await ask<DoubtsForm>("doubts", { at: get().at })).doubts,
  });
  const [found, refused, busy, load] = useAnswer(String(at), question);
  return (
    <>
      <p><button type="button" disabled={busy} onClick={load} title="Does anything feed itself? Are settings what was asked for? Reads the whole ledger.">{busy ? "looking ..." : "Look for loops and doubts"}</button></p>
      {refused && <Refusal error={refused} />}
      {found && (
        <div className="why" role="region" aria-label="Loops and doubts">
          <Loops loops={found.state.loops} />
          {!found.state.loops.length && <p>Nothing feeds itself at this moment.</p>}
          <DoubtList doubts={found.doubts} />
        </div>
      )}
    </>
  );
}

/** Of one unit: where asked, answered and reported settings are not the same. */
export function Doubts({ unit, at }: { unit: string; at: number }) {
  const [found, refused, busy, load] = useAnswer(`${unit} ${at}`, () => ask<DoubtsForm>("doubts", { unit, at: get().at }));
  return (
    <>
      <p><button type="button" disabled={busy} onClick={load} title="Reads the whole ledger">{busy ? "looking ..." : "Is it what was asked for?"}</button></p>
      {refused && <Refusal error={refused} />}
      {found && <div className="why" role="region" aria-label="Doubts"><DoubtList doubts={found.doubts} /></div>}
    </>
  );
}

function DoubtList({ doubts }: { doubts: SettingDoubt[] }) {
  if (!doubts.length) return <p>No doubt about settings: what was asked for, answered and reported agree, as far as it is recorded.</p>;
  return (
    <>
      <h3>{count(doubts.length, "doubt")} about settings</h3>
      {doubts.slice(0, DOUBTS_MAX).map((doubt) => (
        <p key={`${doubt.seq} ${doubt.unit} ${doubt.field} ${doubt.kind}`}>
          <Seq seq={doubt.seq} />
          <Link subject={`unit ${doubt.unit}`}>{`${doubt.unit}${doubt.field ? `.${doubt.field}` : ""}`}</Link>
          {doubtText(doubt)}
        </p>
      ))}
      {doubts.length > DOUBTS_MAX && <p className="hint">and {doubts.length - DOUBTS_MAX} more</p>}
    </>
  );
}

/** In the words of `settings --doubts`. */
function doubtText(doubt: SettingDoubt): string {
  if (doubt.kind === "misfit") return `= ${text(doubt.reported)} does not fit its schema: ${doubt.text}`;
  if (doubt.kind === "refused") return `${doubt.field ? `= ${text(doubt.asked)} ` : ""}was refused: ${doubt.text}`;
  const reported = doubt.kind === "other" ? `, reported ${text(doubt.reported)}` : "";
  const answered = doubt.answered === null ? "" : `, answered ${text(doubt.answered)}`;
  return `${doubt.text}: asked ${text(doubt.asked)}${answered}${reported}`;
}

// --- what if -------------------------------------------------------------------------------------------------------------

/** What the graph would be like without a session: what it alone held. */
export function Without({ session }: { session: string }) {
  const [found, refused, busy, load] = useAnswer(session, () => ask<WhatIf>("what-if", { session, at: get().at }));
  return (
    <>
      <p><button type="button" disabled={busy} onClick={load}>What if it had never come?</button></p>
      {refused && <Refusal error={refused} />}
      {found && (
        <div className="why" role="region" aria-label="What if">
          <p className="hint">at seq {found.moment.seq}, without it:</p>
          {found.gone_edges.length > 0 && (
            <Group title={`\u2212${count(found.gone_edges.length, "edge")}`} kind="removed" items={found.gone_edges.map(([a, b]) => `${a} -> ${b}`)} />
          )}
          {found.gone_components.length > 0 && (
            <Group title={`\u2212${count(found.gone_components.length, "component")}`} kind="removed" items={found.gone_components.map((each) => `unit ${each}`)} />
          )}
          {found.gone_settings.length > 0 && (
            <Group title={`other settings of ${count(found.gone_settings.length, "unit")}`} kind="settings" items={found.gone_settings.map((each) => `unit ${each}`)} />
          )}
          {!found.gone_edges.length && !found.gone_components.length && !found.gone_settings.length && <p>The graph would be the same.</p>}
          {found.doubts.slice(0, DOUBTS_MAX).map((doubt) => (
            <p key={doubt.seq}><Seq seq={doubt.seq} /><span className="hint">might have gone otherwise: </span>{doubt.text}</p>
          ))}
          {found.doubts.length > DOUBTS_MAX && <p className="hint">and {found.doubts.length - DOUBTS_MAX} more doubts</p>}
          <Asking
            command={`what-if ${quoted(model.ledger.name)} ${session} --at ${found.moment.seq}`}
            library={`timeline.without(${session}, ${found.moment.seq})`} copy={found}
          />
        </div>
      )}
    </>
  );
}
