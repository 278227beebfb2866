"use strict";
/* Pages that stay true: the panel says what changed (/events), the page looks again.

   Without events it looks every 15 s; hidden, not at all until it is seen again. A lost connection
   shows as age, never as a spinner. Times are the reader's own. */
(() => {
  const POLL = 15_000, OLD_SECONDS = 60, REST = 800;
  const live = document.getElementById("live");
  const address = document.body.dataset.events;
  let connected = false, stale = false, lookedAt = 0, waiting = 0, looking = null;

  const cares = (topic) => live.dataset.topics.split(" ").includes(topic);
  const look = () => {
    waiting = 0;
    if (document.hidden) { stale = true; return; }
    lookedAt = performance.now();
    stale = false;
    lookAgain();
  };
  /* The page's own address once more; a later look takes the place of one under way. What does not
     answer shows as age. A form that was refused stands still: its page has no data-look. */
  async function lookAgain() {
    if (live.dataset.look === undefined) return;
    looking?.abort();
    looking = new AbortController();
    try {
      const answer = await fetch(location.href, { headers: { "X-Labpanel-Look": "1" }, cache: "no-store", signal: looking.signal });
      const lead = answer.headers.get("X-Labpanel-Lead");
      if (lead) location.assign(lead);
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const found = fresh.getElementById("live");
      if (!found) return;
      document.title = fresh.title;
      morph(live, found);
      rememberAge();
      tick();
    } catch (error) {
      if (error.name !== "AbortError" && !(error instanceof TypeError)) throw error;
    }
  }
  /* At most once in REST ms: several topics often come together. */
  const lookSoon = () => {
    if (!waiting && live.dataset.topics) waiting = setTimeout(look, Math.max(50, lookedAt + REST - performance.now()));
  };

  function listen() {
    const source = new EventSource(address);
    source.onopen = () => { if (stale) lookSoon(); connected = true; stale = false; };
    source.onerror = () => { connected = false; stale = true; if (source.readyState === EventSource.CLOSED) setTimeout(listen, POLL); };
    const topics = new Set(["samples", "inventory", "health", "coverage", "jobs", ...live.dataset.topics.split(" ")]);
    for (const topic of topics) {
      if (topic) source.addEventListener(topic, () => {
        document.dispatchEvent(new CustomEvent("panel:topic", { detail: topic }));
        if (cares(topic)) lookSoon();
      });
    }
    window.addEventListener("pagehide", () => source.close(), { once: true });
  }

  /* Words for a length of time, as labpanel/lib/durations.py says them. */
  function span(seconds) {
    if (seconds < 90) return `${Math.round(seconds)}\u00a0s`;
    if (seconds < 5400) return `${Math.round(seconds / 60)}\u00a0min`;
    if (seconds < 129_600) return `${Math.round(seconds / 3600)}\u00a0h`;
    return `${Math.round(seconds / 86_400)}\u00a0d`;
  }

  function clock(then) {
    const now = new Date(), time = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    if (then.toDateString() === now.toDateString()) return then.toLocaleTimeString("en-GB", time);
    if (now - then < 6 * 86_400_000) return then.toLocaleString("en-GB", { weekday: "long", ...time }).replace(",", "");
    if (then.getFullYear() === now.getFullYear()) return then.toLocaleString("en-GB", { day: "numeric", month: "short", ...time }).replace(",", "");
    return then.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
  }

  const exact = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "long" });
  function times() {
    for (const element of document.querySelectorAll("time[data-form]")) {
      const then = new Date(element.dateTime);
      const form = element.dataset.form, seconds = (Date.now() - then) / 1000;
      let text = element.textContent;
      if (form === "clock") text = clock(then);
      else if (form === "time") text = then.toLocaleTimeString("en-GB", { hourCycle: "h23" });
      /* A phone whose clock is off by minutes would say nonsense: then the server's words stay. */
      else if (form !== "coming" && seconds >= 0 && Math.abs(Date.now() - serverNow()) < 60_000) text = seconds <= 1 && form === "ago" ? "just now" : span(seconds) + (form === "ago" ? " ago" : "");
      if (element.textContent !== text) element.textContent = text;
      const title = exact.format(then);
      if (element.title !== title) element.title = title;
    }
  }

  let ageBase = 0, ageAt = 0, serverBase = Date.now();
  const serverNow = () => serverBase + performance.now() - ageAt;
  function rememberAge() {
    ageAt = performance.now();
    ageBase = Number(document.getElementById("age")?.dataset.seconds ?? 0);
    serverBase = Date.parse(live.dataset.now) || Date.now();
  }

  function age() {
    const element = document.getElementById("age");
    if (!element) return;
    const seconds = ageBase + (performance.now() - ageAt) / 1000;
    const text = seconds < 1.5 ? "looked just now" : `looked ${span(seconds)} ago`;
    if (element.textContent !== text) element.textContent = text;
    element.classList.toggle("old", seconds > OLD_SECONDS);
  }

  function tick() { age(); times(); }
  rememberAge();
  tick();
  setInterval(() => { if (!document.hidden) tick(); }, 1000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) { tick(); if (stale) lookSoon(); } });
  if (live.dataset.topics) setInterval(() => { if (!connected) lookSoon(); }, POLL);
  if (address && "EventSource" in window) listen();
  const log = document.querySelector("[data-follow]");
  if (log) {
    const end = () => { log.scrollTop = log.scrollHeight; };
    end();
    new MutationObserver(end).observe(log, { childList: true });
  }
})();
