// What is selected: its state, its history as stretches, why it is so, its settings, and the same answer from the
// command line and the library. A step asks the server nothing: the whole history of the selection is asked for once.
import { useEffect, useState } from "react";
import { Refused, ask } from "./api";
import { baseName } from "./Bar";
import { focus } from "./Graph";
import { LASTS } from "./history";
import { type Difference, model } from "./model";
import { go } from "./moves";
import { namedNow } from "./other";
import type { Cause, Explanation, FieldChange, History, Life, SettingChange, Settings, WhatIf } from "./shapes";
import { get, set, useView } from "./store";
import { clock, count, span, thousands } from "./times";

interface Answer {
  subject: string;
  history: History | null;
  settings: Settings | null;
  refused: Refused | null;
}

const LIVES_MAX = 60;

export function Inspector({ version }: { version: number }) {
  const select = useView((view) => view.select);
  const pin = useView((view) => view.pin);
  return (
    <section className="inspector" aria-label="Inspector">
      {select ? <Selected subject={select} version={version} /> : pin !== null ? <Changes version={version} /> : <Overview />}
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
        {time > 0 && <Row name="time">{clock(time)}</Row>}
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
      {ledger.head > 0 && <p className="hint">Click on a unit, an edge, a topic or a session to be told why it is as it is. Keys: ?</p>}
      <Asking command={`show ${quoted(ledger.name)} --at ${at}`} library={`timeline.at(${at})`} />
    </>
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
      <Now kind={kind} name={name} at={at} />
      {answer?.refused && <Refusal error={answer.refused} />}
      {!answer && <p className="hint">asking ...</p>}
      {answer?.history && <Why history={answer.history} at={at} />}
      {answer?.settings && <SettingsOf settings={answer.settings} at={at} />}
      {answer?.history && <Lives history={answer.history} at={at} />}
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
  const box = drawing?.byAddress.get(name) ?? drawing?.ofTopic.get(name);
  const topics = kind === "topic" ? [name] : (box?.ports ?? []).map((port) => port.topic);
  const wanted = new Set(topics.map((topic) => history.topicPlace.get(topic)));
  const edges: [boolean, number][] = [];
  for (let edge = 0; edge < now.owners.length; edge++) {
    if (!now.owners[edge]) continue;
    if (wanted.has(history.edgeTo.data[edge])) edges.push([true, edge]);
    else if (wanted.has(history.edgeFrom.data[edge])) edges.push([false, edge]);
  }
  const process = kind === "unit" ? history.factsAt(at, new Set(["unit"])).find((fact) => fact.name === name) : undefined;
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

function processName(id: number, at: number): string {
  const fact = model.history.factsAt(at, new Set(["process"])).find((each) => each.name === id);
  const [pid, host] = (fact?.value ?? []) as [number | null, string | null];
  return pid ? `${id} (pid ${pid}${host ? ` on ${host}` : ""})` : `${id}`;
}

/** The life that contains the moment, or the last before it: the events at its two ends, in sentences. */
function Why({ history, at }: { history: History; at: number }) {
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

function Sentence({ cause }: { cause: Cause }) {
  return (
    <p>
      <button type="button" className="seq" onClick={() => go(cause.seq)} title={`go to event ${cause.seq}`}>{cause.seq}</button>
      {cause.text}
    </p>
  );
}

function Lives({ history, at }: { history: History; at: number }) {
  const [all, setAll] = useState(false);
  if (history.lives.length < 2 && !history.placement) return null;
  const lives = all ? history.lives : history.lives.slice(0, LIVES_MAX);
  return (
    <>
      <h3>History</h3>
      <Bars rows={history.spans.map((each) => ({ born: each.born, died: each.died ?? LASTS }))} at={at} />
      <p className="hint">{`there ${count(history.spans.length, "time")}, for ${span(history.ns / 1e9)} in all${history.placement ? `; moved ${count(history.placement.moves, "time")}` : ""}`}</p>
      <table className="lives">
        <tbody>
          {lives.map((life) => (
            <tr key={`${life.kind} ${life.name} ${life.born} ${life.owner}`} data-now={life.born <= at && (life.died === null || at < life.died) ? "" : undefined}>
              <td><Seq seq={life.born} /></td>
              <td>{life.died === null ? "..." : <Seq seq={life.died} />}</td>
              <td>{title(life)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {!all && history.lives.length > LIVES_MAX && <button type="button" onClick={() => setAll(true)}>all {history.lives.length}</button>}
    </>
  );
}

function title(life: Life): string {
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

const VALUE_MAX = 160;

const text = (value: unknown): string => {
  const out = typeof value === "string" ? value : (JSON.stringify(value) ?? "nothing");
  return out.length > VALUE_MAX ? `${out.slice(0, VALUE_MAX)}\u2026` : out;
};

/** A whole value, arrays too, in a box that scrolls. */
function Value({ value }: { value: unknown }) {
  return <pre className="value" tabIndex={0} aria-label="Value">{typeof value === "string" ? value : JSON.stringify(value, null, 1)}</pre>;
}

function Explain({ topic }: { topic: string }) {
  const [found, setFound] = useState<Explanation | Refused | null>(null);
  useEffect(() => setFound(null), [topic]);
  const load = () => ask<Explanation>("explain", { topic, at: get().at }).then(setFound, (error) => error instanceof Refused && setFound(error));
  return (
    <>
      <button type="button" onClick={load}>Why does nothing arrive here?</button>
      {found instanceof Refused && <Refusal error={found} />}
      {found && !(found instanceof Refused) && (
        <div className="why">
          <p className="hint">at seq {found.moment.seq}:</p>
          {found.reasons.map((reason) => <p key={reason}>{reason}</p>)}
          {!found.reasons.length && <p>Nothing in the graph is in the way: see whether the publishers publish.</p>}
        </div>
      )}
    </>
  );
}

/** What the graph would be like without a session: what it alone held. */
function Without({ session }: { session: string }) {
  const [found, setFound] = useState<WhatIf | Refused | null>(null);
  useEffect(() => setFound(null), [session]);
  const load = () => ask<WhatIf>("what-if", { session, at: get().at }).then(setFound, (error) => error instanceof Refused && setFound(error));
  return (
    <>
      <button type="button" onClick={load}>What if it had never come?</button>
      {found instanceof Refused && <Refusal error={found} />}
      {found && !(found instanceof Refused) && (
        <div className="why">
          <p className="hint">at seq {found.moment.seq}, without it:</p>
          {found.gone_edges.length > 0 && (
            <Group title={`\u2212${count(found.gone_edges.length, "edge")}`} kind="removed" items={found.gone_edges.map(([a, b]) => `${a} -> ${b}`)} />
          )}
          {found.gone_components.length > 0 && (
            <Group title={`\u2212${count(found.gone_components.length, "component")}`} kind="removed" items={found.gone_components.map((each) => `unit ${each}`)} />
          )}
          {!found.gone_edges.length && !found.gone_components.length && <p>The graph would be the same.</p>}
          {found.doubts.slice(0, 5).map((doubt) => <p key={doubt.seq} className="hint">{`might have gone otherwise: seq ${doubt.seq}, ${doubt.text}`}</p>)}
        </div>
      )}
    </>
  );
}

// --- what differs ------------------------------------------------------------------------------------------------------

const SHOWN = 60;

function Changes({ version }: { version: number }) {
  const pin = useView((view) => view.pin)!;
  const pinOther = useView((view) => view.pinOther);
  const at = useView((view) => view.at);
  const found = model.differences();
  if (!found) return null;
  const edges = (places: number[], sign: string, what: string) =>
    places.length > 0 && <Group title={`${sign}${places.length} ${what}`} kind={what} items={places.map((place) => model.edgeName(place))} />;
  const { ledger } = model;
  return (
    <div className="changes" data-version={version}>
      <h2>{pinOther ? `From ${baseName(ledger.other!.ledger)} at ${thousands(pin)} to here at ${thousands(at)}` : `From ${thousands(pin)} to ${thousands(at)}`}</h2>
      {isSame(found) && <p>{pinOther ? "No difference in edges and components, by names." : "No difference."}</p>}
      {edges(found.added, "+", "added")}
      {edges(found.removed, "\u2212", "removed")}
      {edges(found.others, "~", "other owners")}
      {found.boxesCame.length > 0 && <Group title={`+${count(found.boxesCame.length, "component")}`} kind="added" items={found.boxesCame.map((name) => `unit ${name}`)} />}
      {found.boxesWent.length > 0 && <Group title={`\u2212${count(found.boxesWent.length, "component")}`} kind="removed" items={found.boxesWent.map((name) => `unit ${name}`)} />}
      {pinOther ? <ByName /> : <Within found={found} />}
      {pinOther ? (
        <Asking
          command={`diff ${quoted(baseName(ledger.other!.ledger))} ${pin} ${at} --with ${quoted(ledger.name)}`}
          library={`other = Timeline(Ledger.open(${JSON.stringify(ledger.other!.ledger)}, "r"))\nother.compare(${pin}, ${at}, timeline)`}
        />
      ) : (
        <Asking command={`diff ${quoted(ledger.name)} ${pin} ${at}`} library={`timeline.diff(${pin}, ${at})`} />
      )}
    </div>
  );
}

/** Between two events of one ledger: sessions, settings, and what neither of the two moments shows. */
function Within({ found }: { found: Difference }) {
  const between = [
    found.sessionsBetween.length ? count(found.sessionsBetween.length, "session") : "",
    found.between.length ? count(found.between.length, "edge") : "",
  ].filter(Boolean);
  const sessions = (ids: number[]) => ids.map((id) => `session ${id}`);
  const names = (places: number[]) => places.map((place) => model.edgeName(place));
  return (
    <>
      {found.sessionsCame.length > 0 && <Group title={`+${count(found.sessionsCame.length, "session")}`} kind="added" items={sessions(found.sessionsCame)} />}
      {found.sessionsWent.length > 0 && <Group title={`\u2212${count(found.sessionsWent.length, "session")}`} kind="removed" items={sessions(found.sessionsWent)} />}
      {found.settings.size > 0 && <Group title={`settings of ${count(found.settings.size, "unit")}`} kind="settings" items={[...found.settings.keys()].map((name) => `unit ${name}`)} />}
      {between.length > 0 && <p className="between-note">{`${between.join(" and ")} came and went in between.`}</p>}
      {found.between.length > 0 && <Group title={`${count(found.between.length, "edge")} came and went`} kind="between" items={names(found.between)} />}
      {found.sessionsBetween.length > 0 && <Group title={`${count(found.sessionsBetween.length, "session")} came and went`} kind="between" items={sessions(found.sessionsBetween)} />}
      {found.interrupted.length > 0 && <Group title={`${count(found.interrupted.length, "edge")} went and came back`} kind="between" items={names(found.interrupted)} />}
    </>
  );
}

const WORDED = [["sessions", "sessions"], ["components", "components that are otherwise"], ["settings", "settings"], ["processes", "processes"], ["endpoints", "endpoints"]] as const;

/** Between two ledgers: what the server says in words, when the moment has come to rest. Its answer is from here to there. */
function ByName() {
  const diff = namedNow(model.other!);
  if (model.other!.refused) return <Refusal error={model.other!.refused} />;
  if (!diff) return <p className="hint" role="status">comparing settings and sessions ...</p>;
  const came = { "+": "-", "-": "+", "~": "~" } as const;
  return (
    <div className="by-name" role="region" aria-label="By names">
      {diff.same && <p>The two are the same by names.</p>}
      {WORDED.map(([group, title]) => {
        const items = diff[group].filter((item) => group !== "components" || item.change === "~");
        if (!items.length) return null;
        return (
          <details key={group} open={items.length <= 12}>
            <summary data-kind={group === "settings" ? "settings" : undefined}>{`${title} (${items.length})`}</summary>
            <ul>
              {items.slice(0, SHOWN).map((item, place) => {
                const sign = came[item.change as "+" | "-" | "~"];
                return <li key={place} data-kind={sign === "+" ? "added" : sign === "-" ? "removed" : "others"}>{`${sign === "-" ? "\u2212" : sign} ${worded(group, item)}`}</li>;
              })}
              {items.length > SHOWN && <li className="hint">and {items.length - SHOWN} more</li>}
            </ul>
          </details>
        );
      })}
    </div>
  );
}

function worded(group: string, item: Record<string, unknown>): string {
  if (group === "settings") {
    const fields = (item.fields ?? []) as { field: string; before: unknown; after: unknown }[];
    const what = fields.map((each) => `${each.field} ${text(each.after)} \u2192 ${text(each.before)}`).join("; ");
    return `${String(item.component)}${what ? `: ${what}` : ""}`;
  }
  if (group === "components") return String(item.component);
  const [here, there] = [Number(item.before ?? 0), Number(item.after ?? 0)];
  return `${String(item.what)}${Math.max(here, there) > 1 ? ` (${there} there, ${here} here)` : ""}`;
}

export const isSame = (found: Difference): boolean =>
  !found.added.length && !found.removed.length && !found.others.length && !found.sessionsCame.length && !found.sessionsWent.length &&
  !found.boxesCame.length && !found.boxesWent.length && !found.settings.size;

function Group({ title, kind, items }: { title: string; kind: string; items: string[] }) {
  return (
    <details open={items.length <= 12}>
      <summary data-kind={kind}>{title}</summary>
      <ul>
        {items.slice(0, SHOWN).map((item) => (
          <li key={item}><Link subject={item}>{shownSubject(item)}</Link></li>
        ))}
        {items.length > SHOWN && <li className="hint">and {items.length - SHOWN} more</li>}
      </ul>
    </details>
  );
}

// --- parts -------------------------------------------------------------------------------------------------------------

export function shownSubject(subject: string): string {
  const [kind, name] = parts(subject);
  if (kind === "session") return `session ${model.history.sessionName(Number(name))}`;
  return kind === "edge" ? subject : name;
}

/** A session's name; of several of that name, with its id. */
function sessionTitle(id: number, among: number[]): string {
  const name = model.history.sessionName(id);
  return among.some((other) => other !== id && model.history.sessionName(other) === name) ? `${name} (${id})` : name;
}

export function parts(subject: string): [kind: string, name: string] {
  if (subject.includes(" -> ")) return ["edge", subject];
  const space = subject.indexOf(" ");
  return [subject.slice(0, space), subject.slice(space + 1)];
}

function Link({ subject, children }: { subject: string; children: React.ReactNode }) {
  return (
    <button type="button" className="link" onClick={() => (set({ select: subject }), focus(subject))}>{children}</button>
  );
}

const Owner = ({ id }: { id: number }) => (id === 0 ? <span>nobody's session: it is persistent</span> : <Link subject={`session ${id}`}>{model.history.sessionName(id)}</Link>);

const Seq = ({ seq }: { seq: number }) => (
  <button type="button" className="seq" title={`go to event ${seq}`} onClick={() => go(seq)}>{seq}</button>
);

function Row({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

/** Stretches of seqs as bars over the whole history. */
function Bars({ rows, at }: { rows: { born: number; died: number }[]; at: number }) {
  const head = Math.max(1, model.history.head);
  return (
    <svg className="bars" viewBox="0 0 1000 12" preserveAspectRatio="none" aria-hidden="true">
      {rows.slice(0, 500).map((row) => {
        const end = Math.min(row.died, head);
        return <rect key={`${row.born} ${row.died}`} x={(row.born / head) * 1000} y="2" height="8" width={Math.max(3, ((end - row.born) / head) * 1000)} />;
      })}
      <line x1={(at / head) * 1000} x2={(at / head) * 1000} y1="0" y2="12" />
    </svg>
  );
}

export function Refusal({ error }: { error: Refused }) {
  return (
    <p className="refusal" role="alert">
      {error.message}
      {error.refusal.hint && <span className="hint">{error.refusal.hint}</span>}
    </p>
  );
}

export const quoted = (name: string): string => (/^[\w./:-]+$/.test(name) ? name : `'${name.replace(/'/g, "'\\''")}'`);

/** The command line and the library call that give the same answer, ready to be copied. */
export function Asking({ command, library, copy }: { command: string; library: string; copy?: unknown }) {
  const whole = `ezmsg-ledger ${command.replace(/\s+/g, " ").trim()}`;
  const path = model.ledger.ledger;
  const call = `timeline = Timeline(Ledger.open(${JSON.stringify(path)}, "r"))\n${library}`;
  return (
    <details className="asking">
      <summary>The same from a terminal or a program</summary>
      <code>{whole}</code>
      <button type="button" onClick={() => navigator.clipboard.writeText(whole)}>Copy command</button>
      <code>{call}</code>
      <button type="button" onClick={() => navigator.clipboard.writeText(call)}>Copy call</button>
      {copy !== undefined && copy !== null && (
        <button type="button" onClick={() => navigator.clipboard.writeText(JSON.stringify(copy, null, 2))}>Copy as JSON</button>
      )}
    </details>
  );
}
