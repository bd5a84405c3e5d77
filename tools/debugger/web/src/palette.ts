// Colours, for canvases; theme.css has the same for elements. Chosen for contrast on the deepest nesting.

export interface Palette {
  paper: string;
  panel: string;
  text: string;
  second: string;
  dim: string;
  edge: string;
  ghost: string;
  added: string;
  removed: string;
  others: string;
  between: string;
  settings: string;
  select: string;
  nest: [string, string];
  line: string;
  future: string;
  bad: string;
  sessions: string[];
}

const LIGHT: Palette = {
  paper: "#fbfcfd",
  panel: "#ffffff",
  text: "#101828",
  second: "#44546a",
  dim: "#5d6c80",
  edge: "#5b6b80",
  ghost: "#5b6b8030",
  added: "#0068a6",
  removed: "#b84a00",
  others: "#a03d86",
  between: "#6b7d00",
  settings: "#8a6100",
  select: "#0f52ba",
  nest: ["rgba(30,55,90,.045)", "rgba(30,55,90,.03)"],
  line: "#c8d2de",
  future: "rgba(251,252,253,.64)",
  bad: "#b42318",
  sessions: ["#3d5a80", "#0f766e", "#9a5b00", "#7c3aed", "#b4235a", "#2f6f2f", "#8a4b2a", "#0369a1"],
};

const DARK: Palette = {
  paper: "#0d1117",
  panel: "#171d26",
  text: "#eaf0f7",
  second: "#b3c0d1",
  dim: "#8b9bb0",
  edge: "#8a9ab0",
  ghost: "#8a9ab02b",
  added: "#5ab4f5",
  removed: "#ff8f52",
  others: "#e08bc8",
  between: "#c9d65a",
  settings: "#ffd866",
  select: "#7fb2ff",
  nest: ["rgba(160,190,230,.05)", "rgba(160,190,230,.035)"],
  line: "#2f3b4c",
  future: "rgba(13,17,23,.64)",
  bad: "#ff7b72",
  sessions: ["#8fb2de", "#4fd1c0", "#f0b35a", "#b79bff", "#ff8fb3", "#8fd68f", "#dca283", "#6cc5ff"],
};

const dark = window.matchMedia("(prefers-color-scheme: dark)");

export const palette = (): Palette => (dark.matches ? DARK : LIGHT);

export function onTheme(change: () => void): () => void {
  dark.addEventListener("change", change);
  return () => dark.removeEventListener("change", change);
}

/** Colours by name, the same for the same names in the same order: the first is the commonest. */
export class Colours {
  private places = new Map<string, number>();
  of(name: string): string {
    let place = this.places.get(name);
    if (place === undefined) {
      place = this.places.size;
      this.places.set(name, place);
    }
    const colours = palette().sessions;
    return colours[place % colours.length];
  }
}
