"use strict";
/* Fingers on a graph: one moves the crosshair, two zoom, a double tap shows everything again.
   Scrolling the page up and down stays the browser's (touch-action: pan-y). */
function graphTouch(zoom, reset) {
  const DOUBLE = 300;
  let pinch = null, lastTap = 0;

  const across = (chart, touch) => touch.clientX - chart.over.getBoundingClientRect().left;

  function startPinch(chart, touches) {
    const [a, b] = [across(chart, touches[0]), across(chart, touches[1])];
    pinch = { a: chart.posToVal(a, "x"), b: chart.posToVal(b, "x"), min: chart.scales.x.min, max: chart.scales.x.max };
  }

  /* The two moments that were under the fingers stay under them. */
  function movePinch(chart, touches) {
    const width = chart.over.clientWidth;
    const [x1, x2] = [across(chart, touches[0]) / width, across(chart, touches[1]) / width];
    if (Math.abs(x2 - x1) < 0.02) return;
    const span = (pinch.b - pinch.a) / (x2 - x1);
    if (span <= 0) return;
    const min = pinch.a - x1 * span;
    zoom(min, min + span, false);
  }

  function point(chart, touch) {
    const box = chart.over.getBoundingClientRect();
    chart.setCursor({ left: touch.clientX - box.left, top: touch.clientY - box.top }, true, true);
  }

  function start(chart, event) {
    if (event.touches.length === 2) { event.preventDefault(); startPinch(chart, event.touches); return; }
    const now = performance.now();
    if (now - lastTap < DOUBLE) { event.preventDefault(); reset(); }
    lastTap = now;
    point(chart, event.touches[0]);
  }

  function move(chart, event) {
    if (pinch && event.touches.length === 2) { event.preventDefault(); movePinch(chart, event.touches); return; }
    if (!pinch) point(chart, event.touches[0]);
  }

  function end(chart, event) {
    if (pinch && event.touches.length < 2) { pinch = null; zoom(chart.scales.x.min, chart.scales.x.max, true); }
  }

  return {
    hooks: {
      ready: (chart) => {
        chart.over.addEventListener("touchstart", (event) => start(chart, event), { passive: false });
        chart.over.addEventListener("touchmove", (event) => move(chart, event), { passive: false });
        chart.over.addEventListener("touchend", (event) => end(chart, event));
      },
    },
  };
}
