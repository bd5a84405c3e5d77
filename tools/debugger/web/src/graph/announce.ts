// The edges of the moment as a list, for assistive tools and tests: the canvas says nothing to them. It is brought up to
// date when the moment rests, and only what changed is touched.
import { model } from "../model/model";
import { FOREIGN } from "../model/other";
import { get, subscribe } from "../store";

const REST_MS = 120;
/** Of a graph with more edges, those are listed and the last item says how many are not. */
const LISTED_MAX = 3000;

const WORDS = { added: "added", removed: "removed", others: "other owners", between: "came and went in between" } as const;

export interface Announcer {
  /** Soon, but not before what people see. */
  later(): void;
  stop(): void;
}

export function announce(list: HTMLUListElement): Announcer {
  let told = model.history;
  const items = new Map<number, HTMLLIElement>();
  const more = document.createElement("li");
  let waiting = 0;
  list.replaceChildren();

  const update = () => {
    if (told !== model.history) {
      told = model.history;
      list.replaceChildren();
      items.clear();
    }
    const wanted = new Map<number, string>();
    const { pin, pinOther } = get();
    const pinned = pin !== null;
    const held = model.history.allHolders(get().at);
    let left = 0;
    model.mask();
    model.differences();
    for (let edge = 0; edge < model.now.owners.length; edge++) {
      const state = model.edgeState(edge);
      if (state === "off" || (state === "between" && !pinned)) continue;
      if (wanted.size < LISTED_MAX) wanted.set(edge, state === "on" ? "" : WORDS[state]);
      else left++;
    }
    if (pinOther) {
      model.other!.foreignOwners.forEach((owners, place) => {
        if (!owners) return;
        if (wanted.size < LISTED_MAX) wanted.set(FOREIGN + place, WORDS.removed);
        else left++;
      });
    }
    for (const [edge, item] of items) {
      if (!wanted.has(edge)) {
        item.remove();
        items.delete(edge);
      }
    }
    for (const [edge, word] of wanted) {
      let item = items.get(edge);
      if (!item) {
        item = document.createElement("li");
        const name = model.edgeName(edge);
        item.textContent = name;
        item.setAttribute("aria-label", name);
        items.set(edge, item);
        list.append(item);
      }
      const owners = (held.get(edge) ?? []).join(" ");
      if (item.dataset.owners !== owners) item.dataset.owners = owners;
      if ((item.getAttribute("aria-description") ?? "") !== word) {
        if (word) item.setAttribute("aria-description", word);
        else item.removeAttribute("aria-description");
      }
    }
    more.textContent = left ? `and ${left} more` : "";
    if (left) list.append(more);
    else more.remove();
    list.dataset.at = String(get().at);
    list.dataset.pin = pin === null ? "" : `${pinOther ? "other:" : ""}${pin}`;
  };

  const later = () => {
    clearTimeout(waiting);
    waiting = window.setTimeout(update, REST_MS);
  };
  later();
  const stop = subscribe((now, then) => {
    if (now.at !== then.at || now.pin !== then.pin || now.pinOther !== then.pinOther) later();
  });
  return { later, stop: () => (stop(), clearTimeout(waiting)) };
}
