// Shows a page anew when what it is about has changed; the hub says when. Hidden pages do not listen.
const main = document.querySelector("main[data-events]");
let source, timer;
const stop = () => { source?.close(); source = undefined; };
const show = async () => {
  timer = undefined;
  shown = Date.now();
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("main");
  main.innerHTML = fresh.innerHTML;
  // It has ended: nothing more will change.
  if (!fresh.dataset.events) { delete main.dataset.events; stop(); }
};
// A page that changes all the time is shown anew every other second.
let shown = 0;
const soon = () => { timer ??= setTimeout(show, Math.max(300, shown + 2000 - Date.now())); };
const listen = () => {
  if (document.hidden) return stop();
  if (source || !main?.dataset.events) return;
  source = new EventSource("/api/events?" + main.dataset.events);
  // What happened before the hub began to tell is seen by one more look.
  source.onopen = soon;
  const kinds = new URLSearchParams(main.dataset.events).get("kinds").split(",");
  for (const kind of kinds) source.addEventListener(kind, soon);
  // So late that the events are not kept: from now on, then.
  source.addEventListener("gone", () => { stop(); listen(); });
};
document.addEventListener("visibilitychange", listen);
listen();
