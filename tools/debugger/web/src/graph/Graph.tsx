// The graph: units, relays and topics are elements of @xyflow; edges, collections and far names are on two canvases.
// A step of the moment touches none of these elements through React: what changed gets another `data-s`.
import {
  Controls, MiniMap, type Node, type NodeProps, ReactFlow, type ReactFlowInstance,
  ReactFlowProvider, type Viewport, getViewportForBounds,
} from "@xyflow/react";
import { memo, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import type { Box, Drawing } from "../model/drawing";
import { Ends, HANDLES, useEdges } from "./edges";
import { model } from "../model/model";
import { parts } from "../model/subject";
import { onTheme, palette } from "../palette";
import { related } from "../model/reach";
import { NAMES_FROM, PORTS_FROM, Scene } from "./scene";
import { get, set, subscribe, useView } from "../store";

const SHOWN_MAX = 36;
const REACH_PX = 7;
const PICKED_MAX = 40;
/** Pixels of a drawing's margin that may be out of sight: it is all there then, and needs no overview. */
const SLACK = 24;

/** All of the drawing, and a small one not larger than life. */
export const FIT = { padding: { x: "4%", left: "52px", y: "4%" }, maxZoom: 1.3 } as const; // beside the buttons to zoom
const ZOOM_MIN = 0.02;
const ZOOM_MAX = 2.5;
/** Edges up and down from a selection that are shown beside its own: more are as good as all. */
const BEYOND_MAX = 1500;
/** Elements that are made at most; of a larger drawing those that are seen. */
const ELEMENTS_MAX = 1500;

export const cut = (name: string): string => (name.length <= SHOWN_MAX ? name : `\u2026${name.slice(-35)}`);

type BoxNode = Node<{ box: Box }>;

const elements = new Map<number, HTMLElement>();

/** Boxes that were seen from near, where ports have names: thousands of these are not made before somebody can read them. */
const near = new Set<number>();
const whenNear = new Map<number, () => void>();

function useNear(box: Box): boolean {
  return useSyncExternalStore(
    useCallback(
      (changed) => {
        whenNear.set(box.place, changed);
        return () => whenNear.delete(box.place);
      },
      [box.place],
    ),
    () => near.has(box.place),
  );
}

/** What each element shows: to ask the document for it takes longer than all else of a step. */
const painted = new WeakMap<HTMLElement, { state: string; text: string; colour: string }>();

function select(subject: string | null): void {
  set({ select: get().select === subject ? null : subject });
}

const Unit = memo(({ data: { box } }: NodeProps<BoxNode>) => (
  <Element box={box}>
    <button type="button" className="name" aria-label={box.address} onClick={() => select(subjectOf(box))}>
      {cut(box.name)}
    </button>
    {box.kind === "unit" && <Ports box={box} />}
  </Element>
));

const Collection = memo(({ data: { box } }: NodeProps<BoxNode>) => {
  const collapsed = useView((view) => view.collapsed.includes(box.address));
  const toggle = () => {
    const others = get().collapsed.filter((each) => each !== box.address);
    set({ collapsed: collapsed ? others : [...others, box.address] });
  };
  return (
    <Element box={box}>
      <span className="title">
        <button
          type="button" className="fold nodrag" aria-expanded={!collapsed} onClick={toggle}
          aria-label={`${collapsed ? "Expand" : "Collapse"} ${box.address}`}
        >
          {collapsed ? "\u25b8" : "\u25be"}
        </button>
        <button type="button" className="name" aria-label={box.address} onClick={() => select(`collection ${box.address}`)}>
          {cut(box.name)}
        </button>
      </span>
      <Ports box={box} />
    </Element>
  );
});

function Ports({ box }: { box: Box }) {
  const isNear = useNear(box);
  useEffect(() => {
    if (isNear) view.painter?.outline();
  }, [isNear]);
  return isNear && box.ports.map((port) => <PortButton key={port.topic} box={box} port={port} />);
}

function PortButton({ box, port }: { box: Box; port: Box["ports"][number] }) {
  const style = { top: port.y - box.y, [port.side === "out" ? "right" : "left"]: 0 };
  return (
    <button
      type="button" className={`port ${port.side}`} style={style} aria-label={port.topic} data-topic={port.topic}
      onClick={() => select(`topic ${port.topic}`)}
    >
      <span>{cut(port.name)}</span>
    </button>
  );
}

function Element({ box, children }: { box: Box; children: React.ReactNode }) {
  const keep = useCallback(
    (element: HTMLDivElement | null) => {
      if (element) {
        elements.set(box.place, element);
        view.painter?.arrived(box, element);
      } else elements.delete(box.place);
    },
    [box],
  );
  return (
    <div
      ref={keep} className={`box ${box.kind}`} data-s="off" title={box.address}
      style={{ width: box.w, height: box.h, "--fit": `${fitting(box)}px` } as React.CSSProperties}
      data-address={box.address}
    >
      {children}
      <Ends box={box} />
    </div>
  );
}

const measure = document.createElement("canvas").getContext("2d")!;

/** The size of type at which a name fills its box: what is counter-scaled grows up to that. */
function fitting(box: Box): number {
  measure.font = "600 12px system-ui, sans-serif";
  return (12 * (box.w - 10)) / Math.max(1, measure.measureText(cut(box.name)).width);
}

export const subjectOf = (box: Box): string =>
  box.kind === "topic" ? `topic ${box.address}` : box.kind === "collection" ? `collection ${box.address}` : `unit ${box.address}`;

const KINDS = { unit: Unit, relay: Unit, topic: Unit, collection: Collection };

function nodesOf(drawing: Drawing): BoxNode[] {
  return drawing.boxes.map((box) => ({
    id: box.address,
    type: box.kind,
    position: { x: box.x, y: box.y },
    data: { box },
    width: box.w,
    height: box.h,
    measured: { width: box.w, height: box.h },
    handles: HANDLES,
    zIndex: box.kind === "collection" ? 0 : 2,
    draggable: false,
    connectable: false,
    deletable: false,
    selectable: false,
    focusable: false,
    ariaRole: "group",
    ariaLabel: `${box.kind} ${box.address}`,
    style: { pointerEvents: box.kind === "collection" ? "none" : "all" },
  }));
}

/** The camera that sees all of a drawing in a place of this size. */
function fitted(drawing: Drawing, width: number, height: number): Viewport {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const box of drawing.boxes) {
    if (box.parent >= 0) continue;
    [left, top] = [Math.min(left, box.x), Math.min(top, box.y)];
    [right, bottom] = [Math.max(right, box.x + box.w), Math.max(bottom, box.y + box.h)];
  }
  if (left > right || !width || !height) return { x: 0, y: 0, zoom: 1 };
  const bounds = { x: left, y: top, width: right - left, height: bottom - top };
  return getViewportForBounds(bounds, width, height, ZOOM_MIN, FIT.maxZoom, FIT.padding);
}

interface Hover {
  x: number;
  y: number;
  /** The size of the graph on the page: what is told goes to where there is room. */
  width: number;
  height: number;
  names: string[];
  picked: boolean;
}

export function Graph({ drawing }: { drawing: Drawing }) {
  return (
    <ReactFlowProvider>
      <Flow drawing={drawing} />
    </ReactFlowProvider>
  );
}

function Flow({ drawing }: { drawing: Drawing }) {
  const nodes = useMemo(() => nodesOf(drawing), [drawing]);
  const edges = useEdges();
  const wrapper = useRef<HTMLDivElement>(null);
  const below = useRef<HTMLCanvasElement>(null);
  const above = useRef<HTMLCanvasElement>(null);
  const flow = useRef<ReactFlowInstance<BoxNode> | null>(null);
  const painter = useRef<Painter | null>(null);
  const [hover, setHover] = useState<Hover | null>(null);
  const [isPartly, setPartly] = useState(false);
  const [first, setFirst] = useState<Viewport | null>(null);

  // Before a thousand elements are made it is known where they are looked at from, and what each of them shows: they are
  // laid out once, and only as far as can be seen.
  useLayoutEffect(() => {
    const wasAll = wrapper.current!.hasAttribute("data-all");
    const made = new Painter(drawing, wrapper.current!, below.current!, above.current!, (isAll) => setPartly(!isAll));
    painter.current = made;
    const camera = flow.current ? cameraOf(flow.current) : fitted(drawing, wrapper.current!.clientWidth, wrapper.current!.clientHeight);
    made.look(camera);
    made.paintAll();
    setFirst((before) => before ?? camera);
    // who saw all of it sees all of it when it has grown; what is selected stays where it is
    const fitting = wasAll && !get().select ? requestAnimationFrame(() => flow.current?.fitView({ ...FIT, duration: 200 })) : 0;
    return () => (made.stop(), cancelAnimationFrame(fitting));
  }, [drawing]);

  const start = (instance: ReactFlowInstance<BoxNode>) => {
    flow.current = instance;
    view.instance = instance as unknown as ReactFlowInstance;
    painter.current?.move(cameraOf(instance));
  };

  const at = (event: React.MouseEvent): number => {
    if (!flow.current || !painter.current || (event.target as Element).closest(".box button, .react-flow__panel")) return -1;
    const place = flow.current.screenToFlowPosition({ x: event.clientX, y: event.clientY });
    return painter.current.scene.segmentAt(place.x, place.y, REACH_PX / painter.current.camera.zoom);
  };

  const shown = (event: React.MouseEvent, number: number, picked: boolean): Hover => {
    const rect = wrapper.current!.getBoundingClientRect();
    return { x: event.clientX - rect.left, y: event.clientY - rect.top, width: rect.width, height: rect.height, names: namesAt(drawing, number), picked };
  };

  const moved = (event: React.MouseEvent) => {
    if (hover?.picked) return;
    const number = at(event);
    if (number < 0) {
      if (hover) setHover(null);
    } else setHover(shown(event, number, false));
  };

  const clicked = (event: React.MouseEvent) => {
    const number = at(event);
    if (number < 0) {
      setHover(null);
      return;
    }
    const next = shown(event, number, true);
    if (next.names.length === 1) {
      select(next.names[0]);
      setHover(null);
    } else setHover(next);
  };

  /** What the keyboard comes to is brought into sight; browsers scroll to it, which would move elements from their lines. */
  const focused = (event: React.FocusEvent) => {
    const element = (event.target as Element).closest<HTMLElement>(".box");
    const box = element && drawing.byAddress.get(element.dataset.address ?? "");
    if (!box) return;
    for (let each: Element | null = element; each && each !== wrapper.current; each = each.parentElement) each.scrollTo(0, 0);
    wrapper.current!.scrollTo(0, 0);
    const [own, frame] = [event.target.getBoundingClientRect(), wrapper.current!.getBoundingClientRect()];
    if (own.left >= frame.left && own.right <= frame.right && own.top >= frame.top && own.bottom <= frame.bottom) return;
    const camera = flow.current!.getViewport();
    void flow.current!.setCenter(box.x + box.w / 2, box.y + Math.min(box.h, frame.height / camera.zoom) / 2, { zoom: camera.zoom, duration: 150 });
  };

  return (
    <div ref={wrapper} className="flow" onFocus={focused} onMouseMove={moved} onClick={clicked} onMouseLeave={() => !hover?.picked && setHover(null)}>
      <canvas ref={below} className="below" aria-hidden="true" />
      {first && <ReactFlow
        defaultViewport={first} nodes={nodes} edges={edges} nodeTypes={KINDS} onInit={start} minZoom={ZOOM_MIN} maxZoom={ZOOM_MAX}
        onMove={(_, camera) => painter.current?.move(camera)} nodesDraggable={false} nodesConnectable={false}
        nodesFocusable={false} edgesFocusable={false} elementsSelectable={false} disableKeyboardA11y
        onlyRenderVisibleElements={nodes.length > ELEMENTS_MAX} proOptions={{ hideAttribution: true }} zoomOnDoubleClick={false}
      >
        <Controls showInteractive={false} fitViewOptions={FIT} />
        {isPartly && <MiniMap pannable zoomable ariaLabel="Overview" nodeColor={() => palette().edge} nodeStrokeWidth={0} maskColor={palette().future} maskStrokeColor={palette().select} maskStrokeWidth={1} />}
      </ReactFlow>}
      <canvas ref={above} className="above" aria-hidden="true" />
      {hover && <EdgeList hover={hover} close={() => setHover(null)} />}
    </div>
  );
}

function EdgeList({ hover, close }: { hover: Hover; close: () => void }) {
  const menu = useRef<HTMLDivElement>(null);
  useEffect(() => menu.current?.querySelector("button")?.focus({ preventScroll: true }), [hover]);
  const { x, y, width, height } = hover;
  const style = {
    ...(x < width / 2 ? { left: x + 12 } : { right: width - x + 12 }),
    ...(y < height / 2 ? { top: y + 12, maxHeight: height - y - 16 } : { bottom: height - y + 12, maxHeight: y - 16 }),
  };
  if (!hover.picked) {
    return (
      <div className="tip" style={style} role="presentation">
        {hover.names.slice(0, 6).map((name) => <div key={name}>{name}</div>)}
        {hover.names.length > 6 && <div>and {hover.names.length - 6} more: click to pick one</div>}
      </div>
    );
  }
  const key = (event: React.KeyboardEvent<HTMLDivElement>) => {
    const items = [...event.currentTarget.querySelectorAll("button")];
    const place = items.indexOf(document.activeElement as HTMLButtonElement);
    if (event.key === "ArrowDown") items[(place + 1) % items.length].focus();
    else if (event.key === "ArrowUp") items[(place + items.length - 1) % items.length].focus();
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div ref={menu} className="tip picked" style={style} role="menu" aria-label="Edges of this cable" onKeyDown={key} onClick={(event) => event.stopPropagation()}>
      {hover.names.slice(0, PICKED_MAX).map((name) => (
        <button key={name} type="button" role="menuitem" onClick={() => (set({ select: name }), close())}>{name}</button>
      ))}
      {hover.names.length > PICKED_MAX && <div>and {hover.names.length - PICKED_MAX} more</div>}
    </div>
  );
}

function namesAt(drawing: Drawing, number: number): string[] {
  return drawing.segments[number].edges.filter((edge) => model.edgeState(edge) !== "off").map((edge) => model.edgeName(edge));
}

const cameraOf = (flow: { getViewport(): { x: number; y: number; zoom: number } }) => flow.getViewport();

/** The view of the graph that is on the page: for keys, search and export. */
export const view: { instance: ReactFlowInstance | null; painter: Painter | null } = { instance: null, painter: null };

export type BoxState = "on" | "off" | "added" | "removed" | "hidden";

/** `text`: a badge of its settings; `colour`: of its process. */
export interface Look {
  state: BoxState;
  text: string;
  colour: string;
}

/** What all boxes show: whether beside a pin, and of the other ledger, inside of which collections nothing, and the badges and colours of a lens. */
interface Shown {
  pinned: boolean;
  pinOther: boolean;
  hidden: ReadonlySet<string>;
  changed: ReadonlyMap<string, number> | null;
  colours: ReadonlyMap<string, string> | null;
  recent: ReadonlyMap<string, number> | null;
}

/** Brings the elements and canvases of a drawing to what the store says, without React. */
export class Painter {
  camera = { x: 0, y: 0, zoom: 1 };
  readonly scene: Scene;
  private present: Uint16Array<ArrayBuffer> = new Uint16Array(0);
  private before: Uint16Array<ArrayBuffer> = new Uint16Array(0);
  private stops: (() => void)[];
  private frame = 0;
  private outlining = 0;
  private shown: Shown | null = null;
  private selected: Element | null = null;
  private foreign: ReadonlySet<number>;

  constructor(
    readonly drawing: Drawing,
    private wrapper: HTMLElement,
    below: HTMLCanvasElement,
    above: HTMLCanvasElement,
    private isAllSeen: (isAll: boolean) => void,
  ) {
    this.foreign = model.foreignBoxes();
    this.scene = new Scene(below, above, drawing, this.foreign);
    const sizes = new ResizeObserver(() => {
      this.scene.resize(wrapper.clientWidth, wrapper.clientHeight);
      this.move(this.camera);
    });
    sizes.observe(wrapper);
    this.scene.resize(wrapper.clientWidth, wrapper.clientHeight);
    this.stops = [
      subscribe((now, then) => {
        const isOther = now.pin !== then.pin || now.pinOther !== then.pinOther || now.collapsed !== then.collapsed;
        if (isOther || now.lens !== then.lens || now.select !== then.select || now.ghosts !== then.ghosts) this.paintAll();
        else if (now.at !== then.at) this.paintAll(now.pin !== null);
      }),
      onTheme(() => this.paintAll()),
      () => sizes.disconnect(),
    ];
    view.painter = this;
  }

  stop(): void {
    for (const stop of this.stops) stop();
    cancelAnimationFrame(this.frame);
    cancelAnimationFrame(this.outlining);
    if (view.painter === this) view.painter = null;
  }

  /** Where it is looked from, without painting anything yet. */
  look(camera: { x: number; y: number; zoom: number }): void {
    this.camera = camera;
    const { zoom } = camera;
    const level = zoom >= PORTS_FROM ? "near" : zoom >= NAMES_FROM ? "middle" : "far";
    if (this.wrapper.dataset.level !== level) this.wrapper.dataset.level = level;
    if (level === "middle") this.wrapper.style.setProperty("--counter", `${Math.max(10, 9.5 / zoom)}px`);
    if (level === "near") this.approach();
    const { width, height } = this.drawing;
    const [right, bottom] = [camera.x + width * zoom, camera.y + height * zoom];
    const isAll = camera.x >= -SLACK && camera.y >= -SLACK && right <= this.wrapper.clientWidth + SLACK && bottom <= this.wrapper.clientHeight + SLACK;
    if (this.wrapper.hasAttribute("data-all") !== isAll) {
      this.wrapper.toggleAttribute("data-all", isAll);
      this.isAllSeen(isAll);
    }
  }

  move(camera: { x: number; y: number; zoom: number }): void {
    this.look(camera);
    if (!this.frame) {
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.scene.paint(this.camera, this.present);
        this.scene.paintNames(this.camera);
      });
    }
  }

  /** Boxes that are seen from near get their ports. */
  private approach(): void {
    const { x, y, zoom } = this.camera;
    const [left, top] = [-x / zoom, -y / zoom];
    const [right, bottom] = [left + this.wrapper.clientWidth / zoom, top + this.wrapper.clientHeight / zoom];
    for (const box of this.drawing.boxes) {
      if (near.has(box.place) || box.x > right || box.y > bottom || box.x + box.w < left || box.y + box.h < top) continue;
      near.add(box.place);
      whenNear.get(box.place)?.();
    }
  }

  /** An element is there that was not when the moment was shown last. */
  arrived(box: Box, element: HTMLElement): void {
    if (this.shown) this.paintBox(box, element, this.shown);
    this.outline();
  }

  /** Outline what is selected as soon as all are there that come now. */
  outline(): void {
    if (!get().select || this.outlining) return;
    this.outlining = requestAnimationFrame(() => {
      this.outlining = 0;
      this.paintSelected();
    });
  }

  /** Show what the store says now; a step without a pin changes no name. Cost: a scan of the history, the segments that are seen, and the boxes that changed. */
  paintAll(names = true): void {
    model.mask();
    model.differences();
    const { pin } = get();
    this.present = model.boxesNow(this.present);
    if (pin !== null) this.before = model.boxesThen(this.before);
    const found = related();
    this.scene.related = found?.direct ?? null;
    this.scene.beyond = found && found.beyond.size <= BEYOND_MAX ? found.beyond : null;
    this.paintBoxes();
    this.scene.paint(this.camera, this.present);
    if (names) this.scene.paintNames(this.camera);
  }

  private shownNow(): Shown {
    const { lens, collapsed, pin, pinOther } = get();
    return {
      pinned: pin !== null,
      pinOther,
      hidden: new Set(collapsed),
      changed: pin !== null ? (model.differences()?.settings ?? null) : null,
      colours: lens === "process" ? processColours() : null,
      recent: lens === "settings" && pin === null ? recentSettings() : null,
    };
  }

  /** How each box looks. */
  looks(): [box: Box, look: Look][] {
    const shown = this.shownNow();
    return this.drawing.boxes.map((box) => [box, this.lookOf(box, shown)]);
  }

  private lookOf(box: Box, { pinned, pinOther, hidden, changed, colours, recent }: Shown): Look {
    const is = this.present[box.place] > 0;
    const was = this.before[box.place] > 0;
    let state: BoxState = is ? "on" : "off";
    if (pinned && is !== was) state = is ? "added" : "removed";
    if (hidden.size && this.drawing.isInside(box, hidden)) state = "hidden";
    if (!pinOther && this.foreign.has(box.place)) state = "hidden";
    const badge = changed?.get(box.address) ?? recent?.get(box.address) ?? 0;
    return { state, text: !badge ? "" : pinOther ? "\u2260" : String(badge), colour: colours?.get(box.address) ?? "" };
  }

  private paintBoxes(): void {
    this.shown = this.shownNow();
    for (const box of this.drawing.boxes) {
      const element = elements.get(box.place);
      if (element) this.paintBox(box, element, this.shown);
    }
    this.paintSelected();
  }

  private paintBox(box: Box, element: HTMLElement, shown: Shown): void {
    const look = this.lookOf(box, shown);
    const { state, text, colour } = look;
    const before = painted.get(element);
    if (before && before.state === state && before.text === text && before.colour === colour) return;
    painted.set(element, look);
    if (before?.state !== state) element.dataset.s = state;
    if ((before?.text ?? "") !== text) element.dataset.settings = text;
    if ((before?.colour ?? "") !== colour) element.style.setProperty("--box", colour);
  }

  private paintSelected(): void {
    const { select: selected } = get();
    this.selected?.removeAttribute("data-selected");
    const [kind, name] = parts(selected ?? "");
    let element: Element | null | undefined = null;
    if (kind === "unit" || kind === "collection" || kind === "setting") element = elements.get(this.drawing.byAddress.get(name)?.place ?? -1);
    if (kind === "topic") {
      const owner = this.drawing.ofTopic.get(name);
      const around = owner && elements.get(owner.place);
      element = around && ([...around.querySelectorAll<HTMLElement>(".port")].find((port) => port.dataset.topic === name) ?? around);
    }
    this.selected = element ?? null;
    this.selected?.setAttribute("data-selected", "");
  }
}

/** The colour of each unit's process at the moment. */
export function processColours(): Map<string, string> {
  const out = new Map<string, string>();
  for (const fact of model.history.factsAt(get().at, new Set(["unit"]))) out.set(String(fact.name), model.hosts.of(String(fact.value)));
  return out;
}

/** How often the settings of each component were changed up to the moment, after the value that it began with. */
function recentSettings(): Map<string, number> {
  const { history } = model;
  const out = new Map<string, number>();
  const at = get().at;
  for (let i = 0; i < history.setBorn.length && history.setBorn.data[i] <= at; i++) {
    const name = String(history.keys[history.setKey.data[i]][1]);
    out.set(name, (out.get(name) ?? -1) + 1);
  }
  return out;
}

/** Bring a box or a topic into the middle. */
export function focus(subject: string): void {
  const painter = view.painter;
  if (!painter || !view.instance) return;
  const name = subject.slice(subject.indexOf(" ") + 1);
  const box = painter.drawing.byAddress.get(name) ?? painter.drawing.ofTopic.get(name);
  if (!box) return;
  view.instance.setCenter(box.x + box.w / 2, box.y + box.h / 2, { zoom: Math.max(painter.camera.zoom, box.kind === "collection" ? 0.4 : 0.8), duration: 200 });
}
