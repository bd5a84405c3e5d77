// Boots the page: the ledger and its lifetimes first, so that the timeline can be used; the drawing when it is there.
import "@xyflow/react/dist/base.css";
import "./theme.css";
import { Component, useEffect, useRef, useState } from "react";
import { createRoot } from "react-dom/client";
import { type Announcer, announce } from "./graph/announce";
import { Refused, ask, octets, seqOf } from "./server/api";
import { Asked, Bar, Transport, With } from "./panels/Bar";
import { Drawing, type DrawingForm } from "./model/drawing";
import { Events } from "./panels/Events";
import { Graph, view } from "./graph/Graph";
import { History } from "./model/history";
import { Inspector } from "./panels/Inspector";
import { Refusal } from "./panels/parts";
import { listenToKeys } from "./keys";
import { listen } from "./server/live";
import { model } from "./model/model";
import { Other, followRest } from "./model/other";
import type { Events as Piece, Ledger, Status, Trouble, When } from "./server/shapes";
import { Keys, Search } from "./panels/Search";
import { Splitter } from "./panels/Splitter";
import { thousands } from "./times";
import { keepKnown } from "./server/window";
import { fromAddress, get, mirrorAddress, set, useView } from "./store";
import { Timeline } from "./timeline/Timeline";

/** Between two looks at what is new while somebody records: a busy pipeline brings thousands of events a second. */
const TAKEN_EVERY_MS = 150;

/** Of a history that is here in a window all is sent anew. */
const WINDOW_EVERY_MS = 10_000;

let form: Promise<DrawingForm> | null = null;

async function load(): Promise<void> {
  // all at once: the server answers one after the other, the drawing last
  const asked = Promise.all([ask<Ledger>("ledger"), octets("lifetimes")]);
  form = ask<DrawingForm>("drawing");
  form.catch(() => undefined); // whoever waits for it tells
  const [ledger, data] = await asked;
  const history = new History();
  history.take(data);
  if (history.epoch !== ledger.epoch) return load(); // it was replaced between the two answers
  model.ledger = ledger;
  history.setClocks(ledger.clocks);
  model.history = history;
  if (ledger.other) model.other ??= new Other();
  model.forget();
  const held = new Map<string, number>(); // who held most gets the first colour
  for (const [owner, holds] of history.holdsByOwner()) {
    const name = history.sessionName(owner);
    held.set(name, (held.get(name) ?? 0) + holds);
  }
  for (const [name] of [...held].sort((a, b) => b[1] - a[1])) model.colours.of(name);
}

async function opened(): Promise<void> {
  await load();
  const { at, ...rest } = fromAddress();
  const head = model.history.head;
  let seq = head;
  let follow = at === null && model.ledger.written;
  if (at !== null && /^\d+$/.test(at)) seq = Math.min(Number(at), head);
  else if (at !== null) {
    seq = await seqOf(at);
    follow = false;
  }
  if (rest.pinOther) {
    if (model.other) await model.other.load();
    else Object.assign(rest, { pin: null, pinOther: false });
  }
  set({ ...rest, at: seq, follow });
  mirrorAddress();
  document.title = `${model.ledger.name} \u2013 ezmsg-ledger`;
}

function Page() {
  const [drawing, setDrawing] = useState<Drawing | null>(null);
  const [status, setStatus] = useState<Status | null>(null);
  const [gone, setGone] = useState<"waiting" | "other" | null>(null);
  const [version, setVersion] = useState(0);
  const [fresh, setFresh] = useState<Piece | null>(null);
  const [dialog, setDialog] = useState<"search" | "keys" | null>(null);
  const [trouble, setTrouble] = useState<Refused | null>(null);
  const [notice, setNotice] = useState("");
  const [around, setAround] = useState<number | null>(null);
  const [room, setRoom] = useState<number | null>(null);
  const share = room ?? roomFor(drawing);
  const edges = useRef<HTMLUListElement>(null);
  const answer = useAsked(version);

  const draw = async () => {
    try {
      const asked = form ?? ask<DrawingForm>("drawing");
      form = null;
      model.takeDrawing(await asked);
      setDrawing(model.drawing);
      requestAnimationFrame(() => requestAnimationFrame(() => performance.mark("drawn")));
    } catch (error) {
      if (error instanceof Refused) setTrouble(error);
      else throw error;
    }
  };

  useEffect(() => {
    performance.mark("usable");
    void draw();
    return listenToKeys(setDialog);
  }, []);

  const announcer = useRef<Announcer | null>(null);
  useEffect(() => {
    announcer.current = announce(edges.current!);
    return () => announcer.current!.stop();
  }, []);
  useEffect(() => announcer.current!.later(), [version]);

  useEffect(
    () =>
      keepKnown({
        busy: setAround,
        refused: setTrouble,
        came: (history) => {
          if (history) {
            model.takeHistory(history);
            setDrawing(model.drawing);
          }
          setVersion((value) => value + 1);
        },
      }),
    [],
  );

  useEffect(() => {
    if (!model.other) return;
    return followRest(model.other, () => (view.painter?.paintAll(), setVersion((value) => value + 1)));
  }, []);

  useEffect(() => {
    let due = 0;
    let busy = false;
    // The stream and an answer both tell of another history, in either order: it is read anew, and told, once.
    let reading: Promise<void> | null = null;
    const anew = () => (reading ??= readAnew().finally(() => (reading = null)));
    const readAnew = async () => {
      const before = model.ledger.id;
      try {
        await load();
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        return later(); // the next answer tells again that this history is over
      }
      set({ at: get().follow ? model.history.head : Math.min(get().at, model.history.head), pin: null, pinOther: false, window: null });
      await draw();
      setNotice(model.ledger.id === before ? "The ledger was cut back: what had been shown after its end is gone." : "There is another ledger in this place now: it is shown, from its own beginning.");
      setVersion((value) => value + 1);
    };
    const known = async () => {
      const found = await ask<Ledger>("ledger").catch((error: unknown) => {
        if (error instanceof Refused) return null; // it is told by the stream
        throw error;
      });
      if (!found || found.epoch !== model.history.epoch) return;
      model.ledger = found;
      model.history.setClocks(found.clocks);
      setVersion((value) => value + 1);
    };
    const take = async () => {
      due = 0;
      if (busy) return later();
      busy = true;
      try {
        if (model.history.window) {
          if (get().follow) {
            const at = model.history.head;
            await load();
            await draw();
            if (get().at === at) set({ at: model.history.head });
          }
          return setVersion((value) => value + 1);
        }
        const { head, epoch } = model.history;
        const more = await octets("lifetimes", { after: head, epoch });
        if (model.history.epoch !== epoch) return later();
        const edgesBefore = model.history.edgeTo.length;
        const keysBefore = model.history.keys.length;
        if (!model.history.take(more)) await anew();
        else {
          model.forget();
          if (model.history.edgeTo.length !== edgesBefore || model.history.keys.slice(keysBefore).some(([kind]) => kind === "component")) await draw();
          if (get().follow) set({ at: model.history.head });
          setVersion((value) => value + 1);
        }
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
      } finally {
        busy = false;
      }
    };
    const later = () => {
      if (!due) due = window.setTimeout(take, model.history.window ? WINDOW_EVERY_MS : TAKEN_EVERY_MS);
    };
    return listen(() => model.history.head, {
      status: (now) => {
        const before = model.status;
        model.status = now;
        setStatus(now);
        if (now.epoch !== model.history.epoch) void anew(); // also at first: it may have changed before the stream began
        else if (before && before.written !== now.written) void known();
      },
      events: (piece) => {
        noteLandmarks(piece);
        if ((piece.events as { type: string }[]).some((event) => event.type === "clock.read")) void known();
        setFresh(piece);
        later();
      },
      gone: setGone,
    });
  }, []);

  const said = status ? status.trouble ?? contradiction(model.ledger.trouble) : model.ledger.trouble;
  return (
    <div className="page" data-ready={drawing ? "" : undefined}>
      <Bar status={status} gone={gone} version={version} search={() => setDialog("search")} />
      {gone === "waiting" && <p className="trouble" role="alert">{`The server does not answer. What it has sent, up to seq ${model.history.head}, can still be looked at; it is tried again every few seconds.`}</p>}
      {gone === "other" && <p className="trouble" role="alert">{"The debugger was started again, and has another address: each start makes a new token. Open the address that it has printed. What is shown here is what the one before had sent."}</p>}
      {notice && <p className="trouble" role="alert">{notice} <button type="button" onClick={() => setNotice("")}>Understood</button></p>}
      {said && <TroubleLine trouble={said} />}
      {trouble && <Refusal error={trouble} />}
      {model.history.window && (
        <p className="trouble" role="status">
          {`This history is too long to be shown at once: edges are known from event ${thousands(model.history.window[0])} to ${thousands(model.history.window[1])}. `}
          {around === null ? "Go elsewhere, and what was there is loaded." : `What was there around event ${thousands(around)} is being loaded ...`}
        </p>
      )}
      <main>
        <div className="left" style={{ "--share": `${share * 100}%` } as React.CSSProperties}>
        <section className="graph" aria-label="Graph">
          {drawing ? <Graph drawing={drawing} /> : <p className="waiting" role="status">{trouble ? "There is no drawing." : "drawing ..."}</p>}
          {drawing && drawing.boxes.length === 0 && <p className="waiting">{model.ledger.head ? "No unit, topic or edge was ever there." : "Nothing has been recorded yet."}</p>}
          {drawing?.simplified && <p className="note">Too many edges to route: boxes stand in a grid, lines are straight. Select something to read it.</p>}
          <ul ref={edges} className="unseen" aria-label="Edges" />
        </section>
        <Splitter name="Room of the graph" share={share} change={setRoom} />
        <Events fresh={fresh} />
        </div>
        <aside>
          <With />
          <Inspector version={version} drawn={drawing !== null} />
        </aside>
      </main>
      <Asked answer={answer} />
      <Transport />
      <Timeline spans={answer && !(answer instanceof Refused) ? answer.spans : null} version={version} />
      {dialog === "search" && <Search close={() => setDialog(null)} />}
      {dialog === "keys" && <Keys close={() => setDialog(null)} />}
    </div>
  );
}

const TroubleLine = ({ trouble }: { trouble: Trouble }) => (
  <p className="trouble" role="alert">{`${trouble.message}. What comes before, up to seq ${trouble.seq}, is shown. ${trouble.hint}`}</p>
);

/** How much of the height a drawing gets, beside the events: what is long and low needs less. */
function roomFor(drawing: Drawing | null): number {
  if (!drawing) return 0.74;
  if (!drawing.boxes.length) return 0.3;
  const shape = drawing.width / drawing.height;
  return shape > 2.2 ? 0.58 : shape > 1.4 ? 0.74 : 0.82;
}

/** What the stream does not tell: events that contradict one another. */
const contradiction = (trouble: Trouble | null) => (trouble?.kind === "EventError" ? trouble : null);

/** What stands out, of events that come while the page is open. */
function noteLandmarks(piece: Piece): void {
  const { ledger } = model;
  for (const event of piece.events as { type: string; seq: number; time: number; reason?: string; name?: string }[]) {
    if (event.seq <= ledger.head) continue;
    if (event.type === "command.rejected") ledger.refusals.push(event.seq);
    else if (event.type === "server.lost" || (event.type === "session.closed" && (event.reason === "lost" || event.reason === "error"))) ledger.losses.push(event.seq);
    else if (event.type === "mark") ledger.marks.push(event as never);
    else if (event.type === "gap") ledger.gaps.push(event as never);
    else if (event.type === "server.started") ledger.runs.push({ number: ledger.runs.length + 1, id: event.seq, name: event.name ?? "", started: event.time, last_seq: null, ended: null, reason: null });
    ledger.head = event.seq;
  }
}

function useAsked(version: number): When | Refused | null {
  const asked = useView((view) => view.ask);
  const [answer, setAnswer] = useState<When | Refused | null>(null);
  useEffect(() => {
    if (!asked) return setAnswer(null);
    const abort = new AbortController();
    ask<When>("when", { predicate: asked }, abort.signal).then(setAnswer, (error) => error instanceof Refused && setAnswer(error));
    return () => abort.abort();
  }, [asked, version]);
  return answer;
}

/** What is wrong is said on the page, not only in the console. */
class Fault extends Component<{ children: React.ReactNode }, { error: Error | null }> {
  state = { error: null as Error | null };
  static getDerivedStateFromError(error: Error) {
    return { error };
  }
  render() {
    if (this.state.error) return <p className="trouble" role="alert">{`This is a fault of the page: ${this.state.error.message}. Load it anew; please report it.`}</p>;
    return this.props.children;
  }
}

/** For the browser's console: what the page knows, and the moment. */
Object.assign(window, { ledger: { model, view, get, set } });

const root = createRoot(document.getElementById("page")!);
opened().then(
  () => root.render(<Fault><Page /></Fault>),
  (error: unknown) => {
    const refused = error instanceof Refused ? error : new Refused({ kind: "Fault", message: String(error), hint: "" }, 0);
    root.render(<Refusal error={refused} />);
  },
);

