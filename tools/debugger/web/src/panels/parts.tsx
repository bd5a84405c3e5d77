// The parts that the inspector is made of: links to subjects and events, rows, bars, lists, and the same from a terminal.
import { Refused } from "../server/api";
import { focus } from "../graph/Graph";
import { model } from "../model/model";
import { go } from "../model/moves";
import { parts } from "../model/subject";
import type { Cause } from "../server/shapes";
import { set } from "../store";

export function shownSubject(subject: string): string {
  const [kind, name] = parts(subject);
  if (kind === "session") return `session ${model.history.sessionName(Number(name))}`;
  if (kind === "process") {
    const [pid, host] = (model.history.lifeOf(kind, Number(name))?.value ?? []) as [number | null, string | null];
    return `${name}${pid ? ` (pid ${pid}${host ? ` on ${host}` : ""})` : ""}`;
  }
  return kind === "edge" ? subject : name;
}

/** A session's name; of several of that name, with its id. */
export function sessionTitle(id: number, among: number[]): string {
  const name = model.history.sessionName(id);
  return among.some((other) => other !== id && model.history.sessionName(other) === name) ? `${name} (${id})` : name;
}

export function Link({ subject, children }: { subject: string; children: React.ReactNode }) {
  return (
    <button type="button" className="link" onClick={() => (set({ select: subject }), focus(subject))}>{children}</button>
  );
}

export const Owner = ({ id }: { id: number }) => (id === 0 ? <span>nobody's session: it is persistent</span> : <Link subject={`session ${id}`}>{model.history.sessionName(id)}</Link>);

export const Seq = ({ seq }: { seq: number }) => (
  <button type="button" className="seq" title={`go to event ${seq}`} onClick={() => go(seq)}>{seq}</button>
);

export function Sentence({ cause }: { cause: Cause }) {
  return (
    <p>
      <Seq seq={cause.seq} />
      {cause.text}
    </p>
  );
}

export function Row({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

/** Stretches of seqs as bars over the whole history. */
export function Bars({ rows, at }: { rows: { born: number; died: number }[]; at: number }) {
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

export const SHOWN = 60;

export function Group({ title, kind, items }: { title: string; kind: string; items: string[] }) {
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

const VALUE_MAX = 160;

export const text = (value: unknown): string => {
  const out = typeof value === "string" ? value : (JSON.stringify(value) ?? "nothing");
  return out.length > VALUE_MAX ? `${out.slice(0, VALUE_MAX)}\u2026` : out;
};

/** A whole value, arrays too, in a box that scrolls. */
export function Value({ value }: { value: unknown }) {
  return <pre className="value" tabIndex={0} aria-label="Value">{typeof value === "string" ? value : JSON.stringify(value, null, 1)}</pre>;
}

/** The last part of a path, as people call a file. */
export const baseName = (path: string): string => path.split(/[\\/]/).pop() ?? path;
