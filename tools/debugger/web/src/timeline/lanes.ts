// Sessions as lanes of the timeline.
import { model } from "../model/model";
import { thousands } from "../times";

const LANES_MAX = 40;

export interface Lane {
  name: string;
  /** What is written beside it. */
  label: string;
  sessions: number[];
  /** Many sessions of one label in one lane: how many there are at a time. */
  folded: boolean;
}

/** Sessions as lanes: one each while there is room, otherwise one for each label. */
export function lanesOf(room: number): Lane[] {
  const sessions = [...model.history.sessions.values()];
  if (sessions.length <= Math.min(room, LANES_MAX)) {
    return sessions.map((each) => ({ name: model.history.sessionName(each.id), label: model.history.sessionName(each.id), sessions: [each.id], folded: false }));
  }
  const labels = new Map<string, number[]>();
  for (const each of sessions) {
    const name = each.label || "without a label";
    const list = labels.get(name);
    if (list) list.push(each.id);
    else labels.set(name, [each.id]);
  }
  const lanes = [...labels].sort((a, b) => b[1].length - a[1].length).map(([name, ids]) => ({ name, label: `${thousands(ids.length)} \u00d7 ${name}`, sessions: ids, folded: ids.length > 1 }));
  if (lanes.length <= room) return lanes;
  const rest = lanes.slice(room - 1).flatMap((lane) => lane.sessions);
  return [...lanes.slice(0, room - 1), { name: "of other labels", label: `${thousands(rest.length)} others`, sessions: rest, folded: true }];
}
