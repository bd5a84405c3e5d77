// Everything that has a name, found by a part of it.
import { useEffect, useMemo, useRef, useState } from "react";
import { focus, subjectOf } from "../graph/Graph";
import { shownSubject } from "./parts";
import { model } from "../model/model";
import { set } from "../store";

const FOUND_MAX = 60;

export function Search({ close }: { close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState("");
  const [place, setPlace] = useState(0);
  useEffect(() => dialog.current?.showModal(), []);
  const all = useMemo(() => {
    const boxes = (model.drawing?.boxes ?? []).map(subjectOf);
    const topics = [...(model.drawing?.ofTopic.keys() ?? model.history.topics)].map((topic) => `topic ${topic}`);
    const sessions = [...model.history.sessions.keys()].map((id) => `session ${id}`);
    const edges = Array.from({ length: Math.min(model.history.edgeTo.length, 20_000) }, (_, edge) => model.history.edgeName(edge));
    const processes = model.history.keys.filter(([kind]) => kind === "process").map(([, id]) => `process ${id}`);
    const foreign = model.other?.foreign ?? [];
    return [...boxes, ...topics, ...sessions, ...processes, ...edges, ...foreign].map((subject) => ({ subject, shown: shownSubject(subject), key: `${subject} ${shownSubject(subject)}`.toLowerCase() }));
  }, []);
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = all.filter((each) => words.every((word) => each.key.includes(word)));
  const shown = found.slice(0, FOUND_MAX);
  const choose = (subject: string) => {
    set({ select: subject });
    if (!subject.includes(" -> ")) focus(subject);
    else focus(`topic ${subject.split(" -> ")[0]}`);
    close();
  };
  const key = (event: React.KeyboardEvent) => {
    if (event.key === "ArrowDown") setPlace(Math.min(place + 1, shown.length - 1));
    else if (event.key === "ArrowUp") setPlace(Math.max(0, place - 1));
    else if (event.key === "Enter" && shown[place]) choose(shown[place].subject);
    else return;
    event.preventDefault();
  };
  return (
    <dialog ref={dialog} className="search" aria-label="Search" onClose={close}>
      <input
        autoFocus type="search" role="combobox" aria-expanded="true" aria-controls="found" aria-activedescendant={shown[place] ? `found-${place}` : undefined}
        aria-label="Search for a unit, topic, edge, session or process" value={text} onKeyDown={key} onChange={(event) => (setText(event.target.value), setPlace(0))}
      />
      <ul id="found" role="listbox" aria-label="Found">
        {shown.map((each, number) => (
          <li
            key={each.subject} id={`found-${number}`} role="option" aria-selected={number === place} onClick={() => choose(each.subject)}
            onMouseEnter={() => setPlace(number)}
          >
            <span className="kind">{each.subject.includes(" -> ") ? "edge" : each.subject.split(" ", 1)[0]}</span> {each.shown}
          </li>
        ))}
      </ul>
      <p className="hint">{found.length > FOUND_MAX ? `${found.length - FOUND_MAX} more: write more of the name` : found.length ? "" : "nothing of that name"}</p>
    </dialog>
  );
}

const KEYS: [string, string][] = [
  ["\u2190 \u2192", "previous, next event"],
  ["Shift \u2190 \u2192", "previous, next change of the selection"],
  ["Page Up, Page Down", "a twentieth of what is shown"],
  ["Home, End", "first, last event"],
  ["Space", "play, pause"],
  ["p", "pin this moment; again: take the pin away"],
  ["f", "follow what is recorded"],
  ["Escape", "back to now"],
  ["/", "search"],
  ["+ \u2212 0", "zoom the graph; fit it"],
  ["h j k l", "move the graph"],
  ["[ ]", "zoom the timeline out and in, around the moment"],
  ["w", "the timeline by seq, or by time"],
  ["a, e", "ask; filter the events"],
  ["1 2 3 4", "lens: wiring, owners, settings, processes"],
  ["?", "this list"],
];

export function Keys({ close }: { close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} className="keys" aria-label="Keys" onClose={close}>
      <h2>Keys</h2>
      <dl>
        {KEYS.map(([keys, what]) => (
          <div key={keys}><dt><kbd>{keys}</kbd></dt><dd>{what}</dd></div>
        ))}
      </dl>
      <p className="hint">On the timeline: drag to scrub, wheel to zoom, Shift and drag to choose a window, Alt and drag to move it; two fingers do both.</p>
      <button type="button" onClick={close}>Close</button>
    </dialog>
  );
}
