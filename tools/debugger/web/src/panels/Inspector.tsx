// What is selected: its state, its history as stretches, why it is so, its settings, and the same answer from the
// command line and the library. A step asks the server nothing: the whole history of the selection is asked for once.
import { useEffect, useState } from "react";
import { Refused, ask } from "../server/api";
import { Changes } from "./Changes";
import { LASTS } from "../model/history";
import { model } from "../model/model";
import { changesOfSelection, stepSelection } from "../model/moves";
import { parts } from "../model/subject";
import { Asking, Bars, Link, Owner, Refusal, Row, Sentence, Seq, Value, baseName, quoted, sessionTitle, text } from "./parts";
import { Check, Doubts, Explain, PathFrom, Way, Without } from "./Questions";
import type { FieldChange, History, Life, SettingChange, Settings } from "../server/shapes";
import { set, useView } from "../store";
import { clock, count, day, span, thousands } from "../times";

interface Answer {
  subject: string;
  history: History | null;
  settings: Settings | null;
  refused: Refused | null;
}

const LIVES_MAX = 60;

/** `drawn`: whether the drawing is there, which knows the ports of units. */
export function Inspector({ version, drawn }: { version: number; drawn: boolean }) {
  const select = useView((view) => view.select);
  const pin = useView((view) => view.pin);
  const path = useView((view) => view.path);
  model.mask(); // the graph may not have asked for this moment yet
  return (
    <section className="inspector" aria-label="Inspector">
      {path && <Way path={path} version={version} />}
      {select ? <Selected key={String(drawn)} subject={select} version={version} /> : pin !== null ? <Changes version={version} /> : <Overview />}
      {select && pin !== null && <Changes version={version} />}
    </section>
  );
}

function Overview() {
  const at = useView((view) => view.at);
  const { history, ledger, now } = model;
  const sessions = [...history.sessions.values()].filter((each) => each.born <= at && at < each.died);
  const run = [...ledger.runs].reverse().find((each) => each.id <= at);
  const time = history.timeOf(at);
  return (
    <>
      <h2>{at < ledger.first ? "Before the first event" : `After event ${thousands(at)}`}</h2>
      <dl>
        {time > 0 && <Row name="time">{`${day(time)} ${clock(time)}`}</Row>}
        {run && <Row name="run">{`${run.number} ${run.name}${run.reason === "lost" ? " (lost)" : ""}`}</Row>}
        <Row name="edges">{thousands(now.edges)}</Row>
        <Row name="sessions">
          {sessions.length === 0 && "none"}
          {sessions.slice(0, 12).map((each) => (
            <Link key={each.id} subject={`session ${each.id}`}>{sessionTitle(each.id, sessions.map((other) => other.id))}</Link>
          ))}
          {sessions.length > 12 && ` and ${sessions.length - 12} more`}
        </Row>
      </dl>
      {ledger.head === 0 && <p>Nothing has been recorded yet.</p>}
      {ledger.head > 0 && now.edges === 0 && <Before at={at} />}
      {ledger.head > 0 && <p className="hint">Click on a unit, an edge, a topic or a session to be told why it is as it is. Keys: ?</p>}
      {ledger.head > 0 && <Check at={at} />}
      <Asking command={`show ${quoted(ledger.name)} --at ${at}`} library={`timeline.at(${at})`} />
    </>
  );
}

/** A recording that has ended shows nothing at its end: the way to where there was something. */
function Before({ at }: { at: number }) {
  const gone = model.history.lastGone(at);
  if (!gone) return null;
  return (
    <p>
      {"No edge is there: the last went at event "}<Seq seq={gone} />
      {" and just before was "}<Seq seq={gone - 1} />
    </p>
  );
}

function Selected({ subject, version }: { subject: string; version: number }) {
  const [answer, setAnswer] = useState<Answer | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    setAnswer(null);
    void load(subject, abort.signal).then((found) => !abort.signal.aborted && setAnswer(found), () => undefined);
    return () => abort.abort();
  }, [subject, version]);
  const at = useView((view) => view.at);
  const [kind, name] = parts(subject);
  return (
    <>
      <h2 className="subject">
        <span className="kind">{kind === "edge" ? "edge" : kind}</span>
        <span>{kind === "session" ? `${model.history.sessionName(Number(name))} (${name})` : name}</span>
        <button type="button" className="close" aria-label="Clear the selection" onClick={() => set({ select: null })}>&times;</button>
      </h2>
      <Stepping at={at} version={version} />
      <Now kind={kind} name={name} at={at} />
      {answer?.refused && <Refusal error={answer.refused} />}
      {!answer && <p className="hint">asking ...</p>}
      {answer?.history && <Why history={answer.history} at={at} of={kind} />}
      {answer?.settings && <SettingsOf settings={answer.settings} at={at} />}
      {answer?.history && <Lives history={answer.history} at={at} of={kind} />}
      {answer?.settings && <Doubts unit={name} at={at} />}
      {(kind === "topic" || kind === "unit" || kind === "collection" || kind === "edge") && <PathFrom subject={subject} />}
      {kind === "topic" && <Explain topic={name} />}
      {kind === "session" && <Without session={name} />}
      <Asking
        command={`${kind === "collection" ? "show" : "why"} ${quoted(model.ledger.name)} ${kind === "edge" ? quoted(subject) : kind === "collection" ? "" : `${kind} ${quoted(name)}`} --at ${at}`}
        library={`timeline.why(${JSON.stringify(subject)}, ${at})`}
        copy={answer}
      />
    </>
  );
}

/** To the events at which the selection changes, for those who have no keys. */
function Stepping({ at, version }: { at: number; version: number }) {
  const select = useView((view) => view.select);
  const [changes, setChanges] = useState<number[]>([]);
  useEffect(() => setChanges(changesOfSelection() ?? []), [select, version]);
  const before = changes.filter((seq) => seq < at).length;
  const there = changes.includes(at) ? 1 : 0;
  return (
    <p className="stepping">
      <button type="button" aria-label="Previous change of the selection" aria-keyshortcuts="Shift+ArrowLeft" disabled={before === 0} onClick={() => stepSelection(-1)}>{"\u2039"}</button>
      <button type="button" aria-label="Next change of the selection" aria-keyshortcuts="Shift+ArrowRight" disabled={before + there === changes.length} onClick={() => stepSelection(1)}>{"\u203a"}</button>
      <span className="hint">{!changes.length ? "it never changes" : before + there === 0 ? `before the first of ${count(changes.length, "change")}` : `${there ? "at" : "after"} change ${thousands(before + there)} of ${thousands(changes.length)}`}</span>
    </p>
  );
}

async function load(subject: string, signal: AbortSignal): Promise<Answer> {
  const [kind, name] = parts(subject);
  const answer: Answer = { subject, history: null, settings: null, refused: null };
  const caught = async <T,>(question: Promise<T>): Promise<T | null> => {
    try {
      return await question;
    } catch (error) {
      if (error instanceof Refused) answer.refused ??= error;
      return null;
    }
  };
  const known = new Set(model.history.keys.filter((key) => String(key[1]) === name).map((key) => key[0]));
  if (kind === "unit" || kind === "setting") {
    if (known.has("unit")) answer.history = await caught(ask<History>("history", { subject: `unit ${name}` }, signal));
    if (known.has("setting")) answer.settings = await caught(ask<Settings>("settings", { unit: name }, signal));
  } else if (kind === "collection") {
    if (known.has("setting")) answer.settings = await caught(ask<Settings>("settings", { unit: name }, signal));
  } else if (kind === "edge" && model.history.edgePlace(name) === undefined && model.edgePlace(name) !== undefined) return answer;
  else answer.history = await caught(ask<History>("history", { subject }, signal));
  return answer;
}

/** What the columns say of it at the moment, without asking. */
function Now({ kind, name, at }: { kind: string; name: string; at: number }) {
  const { history, now, drawing } = model;
  if (kind === "edge") {
    const place = history.edgePlace(name);
    if (place === undefined) return model.edgePlace(name) === undefined ? null : <p>{`It is only in ${baseName(model.ledger.other!.ledger)}.`}</p>;
    const holders = history.holders(place, at);
    const [from, to] = name.split(" -> ");
    return (
      <dl>
        <Row name="now">{holders.length ? "there" : "not there"}</Row>
        <Row name="held by">{holders.length ? holders.map((id) => <Owner key={id} id={id} />) : "nobody"}</Row>
        <Row name="from"><Link subject={`topic ${from}`}>{from}</Link></Row>
        <Row name="to"><Link subject={`topic ${to}`}>{to}</Link></Row>
        <Row name="holds"><Bars rows={history.holdsOn(place)} at={at} /></Row>
      </dl>
    );
  }
  if (kind === "session") {
    const session = history.sessions.get(Number(name));
    if (!session) return null;
    let edges = 0;
    for (const row of history.standing(at)) if (history.owner.data[row] === session.id) edges++;
    const lives = session.born <= at && at < session.died;
    return (
      <dl>
        <Row name="now">{lives ? `connected, holds ${count(edges, "edge")}` : at < session.born ? "not yet there" : "gone"}</Row>
        {session.peer && <Row name="from">{session.peer}</Row>}
        <Row name="lived"><Bars rows={[session]} at={at} /></Row>
      </dl>
    );
  }
  if (kind === "process") return <Process id={Number(name)} at={at} />;
  const box = drawing?.byAddress.get(name) ?? drawing?.ofTopic.get(name);
  const topics = kind === "topic" ? [name] : (box?.ports ?? []).map((port) => port.topic);
  const wanted = new Set(topics.map((topic) => history.topicPlace.get(topic)));
  const edges: [boolean, number][] = [];
  for (let edge = 0; edge < now.owners.length; edge++) {
    if (!now.owners[edge]) continue;
    if (wanted.has(history.edgeTo.data[edge])) edges.push([true, edge]);
    else if (wanted.has(history.edgeFrom.data[edge])) edges.push([false, edge]);
  }
  const process = kind === "unit" ? history.factsAt(at, UNITS).find((fact) => fact.name === name) : undefined;
  return (
    <dl>
      {box?.type && kind !== "topic" && <Row name="class">{box.type}</Row>}
      {kind === "topic" && box && box.address !== name && <Row name="of"><Link subject={`${box.kind === "collection" ? "collection" : "unit"} ${box.address}`}>{box.address}</Link></Row>}
      {process && <Row name="process"><Link subject={`process ${process.value}`}>{processName(Number(process.value), at)}</Link></Row>}
      <Row name="edges">
        {edges.length === 0 && "none at this moment"}
        {edges.slice(0, 14).map(([into, edge]) => (
          <Link key={edge} subject={history.edgeName(edge)}>
            {into ? `\u2190 ${history.topics[history.edgeFrom.data[edge]]}` : `\u2192 ${history.topics[history.edgeTo.data[edge]]}`}
          </Link>
        ))}
        {edges.length > 14 && ` and ${edges.length - 14} more`}
      </Row>
    </dl>
  );
}

/** A process, as it was while it lived: what it ran is what it runs at the moment. */
function Process({ id, at }: { id: number; at: number }) {
  const { history } = model;
  const life = history.lifeOf("process", id);
  if (!life) return null;
  const [pid, host, peer] = life.value as [number | null, string | null, string | null];
  const units = history.factsAt(at, UNITS).filter((fact) => fact.value === id);
  return (
    <dl>
      <Row name="now">{life.born <= at && at < life.died ? "there" : at < life.born ? "not yet there" : "gone"}</Row>
      {pid !== null && <Row name="pid">{pid}</Row>}
      {host && <Row name="host">{host}</Row>}
      {peer && <Row name="from">{peer}</Row>}
      <Row name="runs">
        {units.length === 0 && "no unit at this moment"}
        {units.map((fact) => <Link key={String(fact.name)} subject={`unit ${fact.name}`}>{String(fact.name)}</Link>)}
      </Row>
      <Row name="lived"><Bars rows={[life]} at={at} /></Row>
    </dl>
  );
}

const UNITS: ReadonlySet<string> = new Set(["unit"]);

function processName(id: number, at: number): string {
  const fact = model.history.factsAt(at, new Set(["process"])).find((each) => each.name === id);
  const [pid, host] = (fact?.value ?? []) as [number | null, string | null];
  return pid ? `${id} (pid ${pid}${host ? ` on ${host}` : ""})` : `${id}`;
}

/** The life that contains the moment, or the last before it: the events at its two ends, in sentences. */
function Why({ history, at, of }: { history: History; at: number; of: string }) {
  const there = history.lives.filter((life) => life.born <= at && (life.died === null || at < life.died));
  const past = history.lives.filter((life) => life.died !== null && life.died <= at);
  const last = past.length ? Math.max(...past.map((life) => life.died!)) : 0;
  const shown = there.length ? there : past.filter((life) => life.died === last);
  const later = history.lives.filter((life) => life.born > at).sort((a, b) => a.born - b.born)[0];
  return (
    <>
      <h3>Why</h3>
      {shown.slice(0, 8).map((life) => (
        <div key={`${life.name} ${life.born} ${life.owner}`} className="why">
          {of !== "edge" && life.kind === "edge" && <Link subject={life.name}>{life.name}</Link>}
          <Sentence cause={life.came} />
          {!there.length && life.went && <Sentence cause={life.went} />}
        </div>
      ))}
      {shown.length > 8 && <p className="hint">and {shown.length - 8} more</p>}
      {!shown.length && <p>{later ? "It was not there yet." : "It was never there."}</p>}
      {!there.length && later && (
        <div className="why"><span className="hint">{shown.length ? "it came again later:" : "it came later:"}</span><Sentence cause={later.came} /></div>
      )}
    </>
  );
}

function Lives({ history, at, of }: { history: History; at: number; of: string }) {
  const [all, setAll] = useState(false);
  if (history.lives.length < 2 && !history.placement) return null;
  const lives = all ? history.lives : history.lives.slice(0, LIVES_MAX);
  return (
    <>
      <h3>History</h3>
      <Bars rows={history.spans.map((each) => ({ born: each.born, died: each.died ?? LASTS }))} at={at} />
      <p className="hint">{`there ${count(history.spans.length, "time")}, for ${span(history.ns / 1e9)} in all${history.placement?.moves ? `; moved ${count(history.placement.moves, "time")}` : ""}`}</p>
      <table className="lives">
        <tbody>
          {lives.map((life) => (
            <tr key={`${life.kind} ${life.name} ${life.born} ${life.owner}`} data-now={life.born <= at && (life.died === null || at < life.died) ? "" : undefined}>
              <td><Seq seq={life.born} /></td>
              <td>{life.died === null ? "..." : <Seq seq={life.died} />}</td>
              <td>{title(life, of)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {!all && history.lives.length > LIVES_MAX && <button type="button" onClick={() => setAll(true)}>all {history.lives.length}</button>}
    </>
  );
}

function title(life: Life, of: string): string {
  if (of === "session" && life.kind === "edge") return life.name;
  if (life.kind === "edge") return life.owner === null || life.owner === undefined ? `${life.name}, persistent` : `${life.name}, ${life.label}`;
  if (life.kind === "unit") return `in process ${String(life.value)}`;
  if (life.kind === "endpoint") return `${(life.value as string[])[0]} ${life.name}`;
  return `${life.kind} ${life.name}`;
}

function SettingsOf({ settings, at }: { settings: Settings; at: number }) {
  const changes = settings.history?.changes ?? [];
  const upto = changes.filter((change) => change.seq <= at);
  const current = upto.filter((change) => change.until === null || change.until > at).pop();
  return (
    <>
      <h3>Settings</h3>
      {current ? <Value value={current.value} /> : <p className="hint">nothing is in force at this moment</p>}
      {changes.length > 0 && (
        <>
          <p className="hint">{`${count(changes.length, "value")} in all`}</p>
          <table className="lives">
            <tbody>
              {changes.slice(-LIVES_MAX).map((change) => (
                <tr key={change.seq} data-now={change === current ? "" : undefined}>
                  <td><Seq seq={change.seq} /></td>
                  <td>
                    {change.fields.map((field) => <div key={field.path}>{fieldText(field)}</div>)}
                    <div className="hint">{how(change)}</div>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </>
      )}
    </>
  );
}

function how(change: SettingChange): string {
  if (change.asked_by !== null) return `${change.how}, asked for by session ${change.label}`;
  if (change.likely.length) return `${change.how}, likely published by ${change.likely.map((each) => each.topic).slice(0, 3).join(", ")}`;
  return change.how;
}

function fieldText(field: FieldChange): string {
  const name = field.path ? `${field.path} ` : "";
  if (field.missing === "before") return `${name}= ${text(field.after)}`;
  if (field.missing === "after") return `${name}${text(field.before)} \u2192 nothing`;
  return `${name}${text(field.before)} \u2192 ${text(field.after)}`;
}

