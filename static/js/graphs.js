"use strict";
/* The graphs of a page: one time axis, one crosshair over all, live, zoomed by drag or pinch.

   Data come from <div id="charts" data-series="…?range=1h">: {start, end, step, charts: [{id, title,
   unit, times, series: [{label, values, low?, high?}]}]}; null is a gap and is drawn as one. */
(() => {
  const box = document.getElementById("charts");
  if (!box || !window.uPlot) return;
  const format = graphFormat, HEIGHT = 132, MIN_SPAN = 60;
  const address = new URL(box.dataset.series, location.href);
  const unzoom = document.getElementById("unzoom");
  const sync = uPlot.sync("panel");
  let plots = [], zoomed = null, shown = "", loadedAt = 0, step = 10, loading = false;

  const make = (tag, attributes = {}, text = "") => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text) element.textContent = text;
    return element;
  };

  /* What matters first: the thing itself and how long its disks take. The rest unfolds. */
  const first = (chart) => /-latency$/.test(chart.id) || /^(vm|host)-(?!nic)/.test(chart.id);

  async function load() {
    if (loading) return;
    loading = true;
    const from = new URL(address);
    if (zoomed) {
      from.search = "";
      from.searchParams.set("start", Math.floor(zoomed.min));
      from.searchParams.set("end", Math.ceil(Math.min(zoomed.max, Date.now() / 1000)));
    }
    try {
      const answer = await fetch(from, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(String(answer.status));
      show(await answer.json());
    } catch {
      if (!plots.length) note("The values could not be read just now; this is tried again.");
    } finally {
      loading = false;
      loadedAt = performance.now();
    }
  }

  function note(text) {
    box.replaceChildren(make("p", { class: "soft" }, text));
  }

  function show(data) {
    step = data.step;
    const kind = JSON.stringify(data.charts.map((chart) => [chart.id, chart.series.map((line) => [line.label, Boolean(line.low)])]));
    if (!data.charts.length) { shown = kind; plots = []; note(box.dataset.empty); return; }
    if (kind !== shown) build(data);
    shown = kind;
    plots.forEach((plot, place) => refresh(plot, data.charts[place], data));
  }

  function build(data) {
    const open = document.getElementById("more-graphs")?.open ?? matchMedia("(min-width: 641px)").matches;
    plots.forEach((plot) => plot.chart?.destroy());
    const main = make("div", { class: "charts-grid" }), more = make("div", { class: "charts-grid" });
    plots = data.charts.map((chart) => {
      const plot = frame(chart);
      (first(chart) ? main : more).append(plot.card);
      return plot;
    });
    const parts = [main];
    if (more.childElementCount) {
      const fold = make("details", { id: "more-graphs" });
      fold.open = open;
      fold.append(make("summary", { class: "more" }, "More graphs: throughput, requests, network"), more);
      fold.addEventListener("toggle", () => plots.forEach(draw));
      parts.push(fold);
    }
    box.replaceChildren(...parts);
  }

  /* A card: title, key with values, the place for the drawing, the values as a table. */
  function frame(chart) {
    const card = make("figure", { class: "chart", "data-id": chart.id });
    const head = make("figcaption");
    head.append(make("h3", {}, chart.title), make("span", { class: "when soft" }));
    const key = make("ul", { class: "key" });
    const values = chart.series.map((line, place) => {
      const item = make("li"), swatch = make("i");
      swatch.style.background = format.colour(line.label, place);
      const value = make("b");
      item.append(swatch, `${line.label} `, value);
      key.append(item);
      return { value, swatch };
    });
    const canvas = make("div", { class: "canvas", role: "img" });
    const fold = make("details"), table = make("table");
    fold.append(make("summary", { class: "more" }, "As a table"), table);
    card.append(head, canvas, key, fold);
    const plot = { card, canvas, values, table, fold, when: head.lastChild, chart: null, spec: chart, data: null, window: null };
    fold.addEventListener("toggle", () => fillTable(plot));
    return plot;
  }

  function refresh(plot, spec, data) {
    plot.spec = spec;
    plot.window = zoomed ? [zoomed.min, zoomed.max] : [data.start, data.end];
    plot.data = [spec.times, ...spec.series.map((line) => line.values)];
    for (const line of spec.series) if (line.low) plot.data.push(line.low, line.high);
    draw(plot);
    legend(plot, plot.chart?.cursor.idx);
    fillTable(plot);
  }

  function draw(plot) {
    if (!plot.data || !plot.canvas.clientWidth) return;
    if (!plot.chart) plot.chart = new uPlot(options(plot), plot.data, plot.canvas);
    else plot.chart.batch(() => { plot.chart.setData(plot.data, false); plot.chart.setScale("x", { min: plot.window[0], max: plot.window[1] }); });
    plot.canvas.setAttribute("aria-label", `${plot.spec.title}: ${said(plot)}`);
  }

  const said = (plot) => plot.spec.series.map((line) => `${line.label} ${format.value(plot.spec.unit, newest(line.values))}`).join(", ");

  function newest(values) {
    for (let at = values.length - 1; at >= Math.max(0, values.length - 3 - 90 / step); at -= 1) if (values[at] !== null) return values[at];
    return null;
  }

  /* A value between two gaps has no line; it gets a dot. */
  function lonely(chart, series) {
    const values = chart.data[series];
    const alone = (at) => values[at] !== null && (values[at - 1] ?? null) === null && (values[at + 1] ?? null) === null;
    return values.flatMap((_, at) => (alone(at) ? [at] : []));
  }

  function lines(plot) {
    const { spec } = plot;
    const mean = spec.series.map((line, place) => {
      const stroke = format.colour(line.label, place);
      return { label: line.label, stroke, width: 1.5, points: { show: true, size: 3, fill: stroke, filter: lonely } };
    });
    const edges = spec.series.flatMap((line) => (line.low ? [0, 1].map(() => ({ label: line.label, stroke: "transparent", width: 0, points: { show: false } })) : []));
    return [{}, ...mean, ...edges];
  }

  /* Between the lowest and the highest of each point, where means hide the peaks. */
  function bands(plot) {
    let at = plot.spec.series.length + 1;
    return plot.spec.series.flatMap((line, place) => {
      if (!line.low) return [];
      const band = { series: [at + 1, at], fill: `${format.colour(line.label, place)}2e` };
      at += 2;
      return [band];
    });
  }

  function axes(unit) {
    const shared = { stroke: format.token("--faint"), font: `12px ${getComputedStyle(document.body).fontFamily}`, grid: { stroke: format.token("--line"), width: 1 }, ticks: { show: false } };
    return [
      { ...shared, size: 26, gap: 4, space: 64, grid: { show: false }, values: (_, splits, axis, space, every) => splits.map((at) => format.timeTick(at, every)) },
      { ...shared, size: 64, gap: 6, space: 34, incrs: format.steps(unit), values: (_, splits) => splits.map((at) => format.tick(unit, at)) },
    ];
  }

  function options(plot) {
    const { unit } = plot.spec;
    return {
      width: plot.canvas.clientWidth, height: HEIGHT, series: lines(plot), bands: bands(plot), axes: axes(unit),
      padding: [8, 20, 0, 0], legend: { show: false },
      scales: { x: { time: true, range: () => plot.window }, y: { range: (_, low, high) => format.range(unit, high) } },
      cursor: { sync: { key: sync.key, setSeries: false }, y: false, points: { size: 7 }, drag: { x: true, y: false, setScale: false }, bind: { dblclick: () => () => { reset(); return null; } } },
      hooks: { setCursor: [(chart) => legend(plot, chart.cursor.idx)], setSelect: [(chart) => selected(chart)] },
      plugins: [graphTouch(zoom, reset)],
    };
  }

  /* Values under the crosshair; without one, the newest. */
  function legend(plot, at) {
    const { spec } = plot, under = at !== null && at !== undefined && spec.times[at] !== undefined;
    spec.series.forEach((line, place) => {
      plot.values[place].value.textContent = format.value(spec.unit, under ? line.values[at] : newest(line.values));
    });
    plot.when.textContent = under ? format.moment(spec.times[at]) : "";
  }

  function selected(chart) {
    const { left, width } = chart.select;
    if (width < 8) return;
    zoom(chart.posToVal(left, "x"), chart.posToVal(left + width, "x"), true);
    chart.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  }

  function zoom(min, max, settled) {
    if (max - min < MIN_SPAN) return;
    zoomed = { min, max: Math.min(max, Date.now() / 1000) };
    for (const plot of plots) {
      plot.window = [zoomed.min, zoomed.max];
      plot.chart?.setScale("x", zoomed);
    }
    unzoom.hidden = false;
    if (settled) load();
  }

  function reset() {
    if (!zoomed) return;
    zoomed = null;
    unzoom.hidden = true;
    load();
  }

  const ROWS = 24;
  function fillTable({ fold, table, spec }) {
    if (!fold.open) return;
    const head = make("tr"), body = make("tbody"), every = Math.max(1, Math.ceil(spec.times.length / ROWS));
    head.append(make("th", { scope: "col" }, "Time"), ...spec.series.map((line) => make("th", { scope: "col", class: "num" }, line.label)));
    for (let at = spec.times.length - 1; at >= 0; at -= every) {
      const row = make("tr");
      row.append(make("th", { scope: "row" }, format.moment(spec.times[at])), ...spec.series.map((line) => make("td", { class: "num" }, format.value(spec.unit, line.values[at]))));
      body.append(row);
    }
    const top = make("thead");
    top.append(head);
    table.replaceChildren(make("caption", {}, spec.title), top, body);
  }

  function again() {
    if (document.hidden || performance.now() - loadedAt < Math.min(step, 300) * 900) return;
    if (!zoomed) load();
  }

  document.addEventListener("panel:topic", (event) => { if (event.detail === "samples") again(); });
  setInterval(again, 15_000);
  document.addEventListener("visibilitychange", again);
  new ResizeObserver(() => plots.forEach((plot) => {
    const width = plot.canvas.clientWidth;
    if (plot.chart && width && plot.chart.width !== width) plot.chart.setSize({ width, height: HEIGHT });
    else if (!plot.chart) draw(plot);
  })).observe(box);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { shown = ""; load(); });
  unzoom.addEventListener("click", reset);
  load();
})();
