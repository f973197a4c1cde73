// Shows a log while it is written: bytes come as server-sent events, "end" closes the stream.
const log = document.getElementById("log");
const status = document.getElementById("status");
const say = (word, kind) => { status.textContent = word; status.className = "state " + kind; };
const source = new EventSource(log.dataset.source);
let follows = true;
addEventListener("scroll", () => {
  follows = innerHeight + scrollY >= document.documentElement.scrollHeight - 40;
});
source.onopen = () => say("live", "open");
source.onerror = () => say("reconnecting", "free");
source.onmessage = (event) => {
  log.append(event.data);
  if (follows) scrollTo(0, document.documentElement.scrollHeight);
};
source.addEventListener("end", () => { source.close(); say("complete", "closed"); });
