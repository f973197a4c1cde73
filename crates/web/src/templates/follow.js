// Shows a page anew when what it is about has changed; the hub says when. Hidden pages do not listen.
const main = document.querySelector("main[data-events]");
let source, timer;
const stop = () => { source?.close(); source = undefined; };
const show = async () => {
  timer = undefined;
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("main");
  main.innerHTML = fresh.innerHTML;
  // It has ended: nothing more will change.
  if (!fresh.dataset.events) { delete main.dataset.events; stop(); }
};
const soon = () => { timer ??= setTimeout(show, 300); };
const listen = () => {
  if (document.hidden) return stop();
  if (source || !main?.dataset.events) return;
  source = new EventSource("/api/events?" + main.dataset.events);
  // What happened before the hub began to tell is seen by one more look.
  source.onopen = soon;
  for (const kind of ["task.state", "build.state"]) source.addEventListener(kind, soon);
};
document.addEventListener("visibilitychange", listen);
listen();
