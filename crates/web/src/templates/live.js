// Shows a log while it is written: text comes as server-sent events, each with the offset behind it as its number; "end" closes the
// stream. Hidden pages do not listen: a browser has only a few connections for all pages of a hub.
const log = document.getElementById("log");
const status = document.getElementById("status");
let source, offset = 0, over = false, follows = true;
const say = (word, kind) => { status.textContent = word; status.className = "state " + kind; };
addEventListener("scroll", () => {
  follows = innerHeight + scrollY >= document.documentElement.scrollHeight - 40;
});
const stop = () => { source?.close(); source = undefined; };
const listen = () => {
  if (document.hidden) return stop();
  if (source || over) return;
  say("connecting", "open");
  source = new EventSource(log.dataset.source + "&offset=" + offset);
  source.onopen = () => say("live", "open");
  source.onerror = () => {
    say("reconnecting", "free");
    // The browser tries again by itself where nobody answers, but not where a front end says that the hub is away.
    if (source?.readyState === EventSource.CLOSED) { stop(); setTimeout(listen, 5000); }
  };
  source.onmessage = (event) => {
    offset = event.lastEventId;
    log.append(event.data);
    if (follows) scrollTo(0, document.documentElement.scrollHeight);
  };
  source.addEventListener("end", () => { over = true; stop(); say("complete", "closed"); });
};
document.addEventListener("visibilitychange", listen);
listen();
