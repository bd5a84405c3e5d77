// What differs between the pin and the moment, as a list in words: within one ledger, or from another one to this.
import { type Difference, model } from "../model/model";
import { namedNow } from "../model/other";
import { Asking, Group, Refusal, SHOWN, baseName, quoted, text } from "./parts";
import { useView } from "../store";
import { count, thousands } from "../times";

export function Changes({ version }: { version: number }) {
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
      {!model.history.settingsKept && <p className="hint">Settings changed too often to be compared here: the command below tells them.</p>}
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
