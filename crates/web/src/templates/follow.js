// Shows a page anew when what it is about has changed; the hub says when. Hidden pages do not listen.
const main = document.querySelector("main[data-events]");
let source, timer, shown = 0;
const stop = () => { source?.close(); source = undefined; };
// What a reader has marked, or stands at, would be lost.
const marked = () => !getSelection().isCollapsed && main.contains(getSelection().anchorNode);
const put = (fresh) => {
  if (main.innerHTML === fresh.innerHTML) return;
  const at = main.contains(document.activeElement) && document.activeElement.getAttribute("href");
  main.innerHTML = fresh.innerHTML;
  if (at) main.querySelector(`a[href="${CSS.escape(at)}"]`)?.focus({ preventScroll: true });
};
const show = async () => {
  timer = undefined;
  const mine = shown = Date.now();
  if (marked()) return soon();
  try {
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    // A slow answer does not undo a newer one.
    if (mine !== shown) return;
    const fresh = page.querySelector("main");
    put(fresh);
    document.title = page.title;
    // It has ended: nothing more will change.
    if (!fresh.dataset.events) { delete main.dataset.events; stop(); }
  } catch { /* The hub is away. The stream breaks, too, and when it is back there is one more look. */ }
};
// A page that changes all the time is shown anew every other second.
const soon = () => { timer ??= setTimeout(show, Math.max(300, shown + 2000 - Date.now())); };
const listen = () => {
  if (document.hidden) return stop();
  if (source || !main?.dataset.events) return;
  source = new EventSource("/api/events?" + main.dataset.events);
  // What happened before the hub began to tell is seen by one more look.
  source.onopen = soon;
  // The browser tries again by itself where nobody answers, but not where a front end says that the hub is away.
  source.onerror = () => { if (source?.readyState === EventSource.CLOSED) { stop(); setTimeout(listen, 5000); } };
  const kinds = new URLSearchParams(main.dataset.events).get("kinds").split(",");
  for (const kind of kinds) source.addEventListener(kind, soon);
  // So late that the events are not kept: from now on, then.
  source.addEventListener("gone", () => { stop(); listen(); });
};
document.addEventListener("visibilitychange", listen);
listen();
