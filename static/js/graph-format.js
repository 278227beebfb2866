"use strict";
/* Words, numbers and colours of graphs. As labpanel/lib/units.py says them. */
const graphFormat = (() => {
  const NOTHING = "–", STEPS = ["bytes", "KiB", "MiB", "GiB", "TiB"];

  function number(value) {
    if (value === null || value === undefined || Number.isNaN(value)) return NOTHING;
    if (Math.abs(value) >= 10 || Math.abs(value - Math.round(value)) < 0.05) return Math.round(value).toLocaleString("en").replaceAll(",", "\u00a0");
    return Math.abs(value) < 0.1 ? value.toFixed(2) : value.toFixed(1);
  }

  function bytes(value) {
    if (value === null || value === undefined) return NOTHING;
    let step = 0;
    while (Math.abs(value) >= 1024 && step < STEPS.length - 1) { value /= 1024; step += 1; }
    return `${number(value)}\u00a0${STEPS[step]}`;
  }

  function value(unit, given) {
    if (given === null || given === undefined) return NOTHING;
    if (unit === "bytes") return bytes(given);
    if (unit === "bytes/s") return `${bytes(given)}/s`;
    if (unit === "ms" && given >= 1000) return `${number(given / 1000)}\u00a0s`;
    return unit ? `${number(given)}\u00a0${unit}` : number(given);
  }

  /* On an axis: short, the unit stands beside the title. */
  const tick = (unit, given) => (unit.startsWith("bytes") ? bytes(given) : unit === "requests/s" ? `${number(given)}/s` : value(unit, given));

  /* Steps between ticks: powers of two for bytes, so that they read 256 MiB, 512 MiB. */
  const binary = Array.from({ length: 45 }, (_, power) => 2 ** power);
  const steps = (unit) => (unit.startsWith("bytes") ? binary : undefined);

  /* Zero-based; never so close that noise looks like a storm. */
  const LEAST = { "%": 10, ms: 10, "bytes/s": 65_536, bytes: 1_048_576, "requests/s": 10 };
  function range(unit, highest) {
    const top = Math.max((highest ?? 0) * 1.08, LEAST[unit] ?? 1);
    return [0, unit === "%" && (highest ?? 0) <= 100 ? Math.min(top, 100) : top];
  }

  /* The same thing has the same colour on every page. */
  const COLOURS = {
    read: 1, received: 1, used: 1, programs: 1, busy: 1, "1 min": 1, "for disks": 2,
    write: 2, sent: 2, "waiting for disks": 2, "waiting for the host": 2, swap: 2,
    available: 3, free: 3, "given by the host": 3, "taken by its own host": 3, "for memory": 3,
    kernel: 4, "for CPU": 4,
  };
  function colour(label, place) {
    const style = getComputedStyle(document.documentElement);
    return style.getPropertyValue(`--chart-${COLOURS[label] ?? (place % 4) + 1}`).trim();
  }
  const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const clock = (seconds, parts) => new Date(seconds * 1000).toLocaleString("en-GB", { hourCycle: "h23", ...parts });
  const moment = (seconds) => clock(seconds, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  function timeTick(seconds, every) {
    if (every >= 28 * 86_400) return clock(seconds, { month: "short" });
    if (every >= 86_400) return clock(seconds, { day: "numeric", month: "short" });
    const midnight = new Date(seconds * 1000);
    if (midnight.getHours() === 0 && midnight.getMinutes() === 0 && every >= 3600) return clock(seconds, { weekday: "short", day: "numeric" });
    return clock(seconds, { hour: "2-digit", minute: "2-digit" });
  }

  return { value, tick, steps, range, colour, token, moment, timeTick };
})();
