// The keyboard: everything that the mouse does to the moment.
import { FIT, view } from "./graph/Graph";
import { model } from "./model/model";
import { follow, pin, play, step, stepSelection, toNow } from "./model/moves";
import { LENSES, get, set } from "./store";
import { zoom } from "./timeline/Timeline";

const PAGES = 20;
const PAN_PX = 120;

function pan(x: number, y: number): void {
  const flow = view.instance;
  const camera = flow?.getViewport();
  if (camera) void flow!.setViewport({ ...camera, x: camera.x + x * PAN_PX, y: camera.y + y * PAN_PX });
}

export function listenToKeys(open: (what: "search" | "keys") => void): () => void {
  const down = (event: KeyboardEvent) => {
    const target = event.target as HTMLElement;
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (target.closest("input[type=search], input:not([type]), input[type=text], select, textarea")) {
      if (event.key === "Escape") target.blur();
      return;
    }
    const isButton = target.closest("button, summary, a") !== null;
    const page = () => {
      const { window } = get();
      return Math.max(1, Math.round((window ? window[1] - window[0] : model.history.head) / PAGES));
    };
    const inList = target.closest(".rows, .value") !== null;
    switch (event.key) {
      case "ArrowLeft":
        event.shiftKey ? stepSelection(-1) : step(-1);
        break;
      case "ArrowRight":
        event.shiftKey ? stepSelection(1) : step(1);
        break;
      case "PageUp":
        if (inList) return;
        step(-page());
        break;
      case "PageDown":
        if (inList) return;
        step(page());
        break;
      case "Home":
        if (inList) return;
        step(-model.history.head);
        break;
      case "End":
        if (inList) return;
        step(model.history.head);
        break;
      case " ":
        if (isButton) return;
        play(!get().playing);
        break;
      case "Escape":
        toNow();
        break;
      case "p":
        pin();
        break;
      case "f":
        follow(!get().follow);
        break;
      case "/":
        open("search");
        break;
      case "?":
        open("keys");
        break;
      case "a":
        document.querySelector<HTMLElement>(".ask input")?.focus();
        break;
      case "e":
        document.querySelector<HTMLElement>(".events input[type=search]")?.focus();
        break;
      case "w":
        set({ axis: get().axis === "time" ? "seq" : "time" });
        break;
      case "[":
        zoom(2);
        break;
      case "]":
        zoom(0.5);
        break;
      case "h":
        pan(1, 0);
        break;
      case "l":
        pan(-1, 0);
        break;
      case "k":
        pan(0, 1);
        break;
      case "j":
        pan(0, -1);
        break;
      case "+":
        void view.instance?.zoomIn({ duration: 120 });
        break;
      case "-":
        void view.instance?.zoomOut({ duration: 120 });
        break;
      case "0":
        void view.instance?.fitView({ ...FIT, duration: 200 });
        break;
      default: {
        const lens = LENSES[Number(event.key) - 1];
        if (!lens) return;
        set({ lens });
      }
    }
    event.preventDefault();
  };
  window.addEventListener("keydown", down);
  return () => window.removeEventListener("keydown", down);
}
