// The line between the graph and the events: drawn, or moved with the arrow keys, it gives one of them more room.
import { useRef } from "react";

const STEP = 0.04;
const LEAST = 0.08;
const MOST = 0.92;

const bounded = (share: number) => Math.max(LEAST, Math.min(MOST, share));

/** `share`: how much of the height is above it, 0 to 1. */
export function Splitter({ name, share, change }: { name: string; share: number; change: (share: number) => void }) {
  const line = useRef<HTMLDivElement>(null);
  const moved = (event: React.PointerEvent) => {
    if (!event.currentTarget.hasPointerCapture(event.pointerId)) return;
    const rect = line.current!.parentElement!.getBoundingClientRect();
    change(bounded((event.clientY - rect.top) / rect.height));
  };
  const key = (event: React.KeyboardEvent) => {
    const by = event.key === "ArrowUp" ? -STEP : event.key === "ArrowDown" ? STEP : 0;
    if (!by) return;
    change(bounded(share + by));
    event.preventDefault();
  };
  return (
    <div
      ref={line} className="splitter" role="separator" tabIndex={0} aria-label={name} aria-orientation="horizontal"
      aria-valuenow={Math.round(share * 100)} aria-valuemin={LEAST * 100} aria-valuemax={MOST * 100} onKeyDown={key}
      onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)} onPointerMove={moved}
    />
  );
}
