// What is upstream and downstream of the selection at the moment.
import { model } from "./model";
import { parts } from "./subject";
import { get } from "../store";

/** Places of edges: those of the selection itself, and those that lead there or on from there. */
export interface Related {
  direct: Set<number>;
  beyond: Set<number>;
}

const only = (direct: Set<number>): Related => ({ direct, beyond: new Set() });

/** What belongs to the selection at the moment; null when nothing is selected. Cost: O(edges). */
export function related(): Related | null {
  const { select, at } = get();
  if (model.way) return only(onTheWay(at));
  if (!select) return null;
  const { history, now, drawing } = model;
  const place = model.edgePlace(select);
  if (place !== undefined) return only(new Set([place]));
  const out = new Set<number>();
  const [kind, name] = parts(select);
  if (kind === "session") {
    const wanted = Number(name);
    const { pin, pinOther } = get();
    const seqs = pin === null || pinOther ? [at] : [at, pin];
    for (const seq of seqs) {
      for (const row of history.standing(seq)) if (history.owner.data[row] === wanted) out.add(history.edge.data[row]);
    }
    return only(out);
  }
  const topics = topicsOf(kind, name);
  if (!topics.length) return null;
  const [down, up] = [new Map<number, number[]>(), new Map<number, number[]>()];
  for (let edge = 0; edge < now.owners.length; edge++) {
    if (!now.owners[edge]) continue;
    push(down, history.edgeFrom.data[edge], edge);
    push(up, history.edgeTo.data[edge], edge);
  }
  for (const [next, end, out_] of [[down, history.edgeTo, "in"], [up, history.edgeFrom, "out"]] as const) {
    const seen = new Set<number>(topics);
    const waiting = [...topics];
    while (waiting.length) {
      for (const edge of next.get(waiting.pop()!) ?? []) {
        out.add(edge);
        const topic = end.data[edge];
        if (seen.has(topic)) continue;
        seen.add(topic);
        waiting.push(topic);
        // messages go on through a unit: what comes in at one side leaves at the other
        const box = drawing?.ofTopic.get(history.topics[topic]);
        if (!box || box.kind === "collection") continue;
        for (const port of box.ports) {
          if (port.side === out_) continue;
          const through = history.topicPlace.get(port.topic);
          if (through !== undefined && !seen.has(through)) {
            seen.add(through);
            waiting.push(through);
          }
        }
      }
    }
  }
  const own = new Set(topics);
  const direct = new Set([...out].filter((edge) => own.has(history.edgeFrom.data[edge]) || own.has(history.edgeTo.data[edge])));
  return { direct, beyond: new Set([...out].filter((edge) => !direct.has(edge))) };
}

/** The edges of the path that is shown, as it leads at the moment. */
function onTheWay(at: number): Set<number> {
  const topics = model.way!.find((each) => each.born <= at && (each.died === null || at < each.died))?.topics ?? [];
  const edges = topics.slice(1).map((topic, place) => model.edgePlace(`${topics[place]} -> ${topic}`));
  return new Set(edges.filter((place) => place !== undefined));
}

function topicsOf(kind: string, name: string): number[] {
  const { history, drawing } = model;
  if (kind === "topic") {
    const place = history.topicPlace.get(name);
    return place === undefined ? [] : [place];
  }
  if (kind === "unit" || kind === "collection" || kind === "setting") {
    const inside = drawing?.boxes.filter((box) => box.address === name || (kind === "collection" && box.address.startsWith(`${name}/`))) ?? [];
    return inside.flatMap((box) => box.ports).flatMap((port) => history.topicPlace.get(port.topic) ?? []);
  }
  if (kind === "process") {
    const units = new Set(history.factsAt(get().at, new Set(["unit"])).filter((fact) => String(fact.value) === name).map((fact) => fact.name));
    const inside = drawing?.boxes.filter((box) => units.has(box.address)) ?? [];
    return inside.flatMap((box) => box.ports).flatMap((port) => history.topicPlace.get(port.topic) ?? []);
  }
  return [];
}

function push(map: Map<number, number[]>, key: number, value: number): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
