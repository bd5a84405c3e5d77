// What the lines and colours of the graph mean under each lens.
import { processColours } from "./Graph";
import { model } from "../model/model";
import { baseName } from "../panels/parts";
import { thousands } from "../times";
import { type View, get, useView } from "../store";

const NAMED_MAX = 8;

interface Item {
  kind: string;
  text: string;
  colour?: string;
}

export function Legend({ version }: { version: number }) {
  const lens = useView((view) => view.lens);
  const compared = useView((view) => (view.pin === null ? "" : view.pinOther ? "other" : "pin"));
  useView((view) => (view.lens === "process" && view.pin === null ? view.at : 0)); // processes come and go
  const items = compared ? ofDifference(compared === "other") : ofLens(lens);
  return (
    <ul className="legend" aria-label="Legend" data-version={version}>
      {items.map(({ kind, text, colour }) => <li key={`${kind} ${text}`} ref={(item) => item?.style.setProperty("--of", colour ?? "")} data-kind={kind}>{text}</li>)}
    </ul>
  );
}

function ofDifference(isOther: boolean): Item[] {
  const others = { kind: "others", text: "other owners" };
  const settings = { kind: "settings", text: "other settings" };
  if (!isOther) return [{ kind: "added", text: "added" }, { kind: "removed", text: "removed" }, others, { kind: "between", text: "came and went" }, settings];
  const there = baseName(model.ledger.other!.ledger);
  return [{ kind: "added", text: `added: only here, not in ${there}` }, { kind: "removed", text: `removed: only in ${there}` }, others, settings];
}

function ofLens(lens: View["lens"]): Item[] {
  const absent = get().ghosts ? [{ kind: "absent", text: "not there now" }] : [];
  switch (lens) {
    case "wiring":
      return [{ kind: "edge", text: "edge" }, { kind: "unfed", text: "nothing publishes upstream" }, ...absent];
    case "owner":
      return named([...new Set([...model.history.sessions.keys()].map((id) => model.history.sessionName(id)))].map((text) => ({ kind: "owner", text, colour: model.colours.of(text) })), "session");
    case "settings":
      if (!model.history.settingsKept) return [{ kind: "more", text: `${thousands(model.history.settingsCount)} changes of settings are too many to count at once: select a unit` }];
      return [{ kind: "settings", text: "how often its settings have changed" }, ...absent];
    case "process": {
      const running = new Set(processColours().keys());
      const processes = model.history.factsAt(get().at, PROCESSES).map(({ name, value }) => {
        const [pid, host] = value as [number | null, string | null];
        return { kind: "box", text: `${pid ? `pid ${pid}` : `process ${name}`}${host ? ` on ${host}` : ""}`, colour: model.hosts.of(String(name)) };
      });
      return running.size ? named(processes, "process") : [{ kind: "box", text: "no unit is in a process at this moment" }];
    }
  }
}

const PROCESSES: ReadonlySet<string> = new Set(["process"]);

function named(items: Item[], what: string): Item[] {
  if (items.length <= NAMED_MAX + 1) return items;
  const left = items.length - NAMED_MAX;
  return [...items.slice(0, NAMED_MAX), { kind: "more", text: `and ${left} more ${what}${what.endsWith("s") ? "es" : "s"}` }];
}
