"use strict";
// Follows what happens, shows times in the reader's zone, counts the seconds of calls in progress.
const main = document.getElementById("main");
const following = document.getElementById("following");
const two = (number) => String(number).padStart(2, "0");

function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    time.textContent = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
  }
}

function count() {
  for (const length of document.querySelectorAll("[data-since]")) {
    const seconds = Math.max(0, Math.floor((Date.now() - new Date(length.dataset.since)) / 1000));
    const hours = Math.floor(seconds / 3600), minutes = Math.floor(seconds / 60) % 60;
    length.textContent = `${hours ? hours + ":" + two(minutes) : minutes}:${two(seconds % 60)}`;
  }
}

function put(blocks) {
  const turns = document.getElementById("turns");
  const atEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 60;
  for (const [id, html] of Object.entries(blocks)) {
    const fresh = document.createRange().createContextualFragment(html);
    localise(fresh);
    const old = document.getElementById(id);
    const focus = old && old.contains(document.activeElement) && document.activeElement.id;
    if (old) old.replaceWith(fresh);
    else if (turns) turns.append(fresh);
    if (focus) document.getElementById(focus)?.focus();
  }
  count();
  if (turns && atEnd && scrollY > 0) scrollTo(0, document.documentElement.scrollHeight);
}

let events, last = main.dataset.last;

function say(text, state) {
  following.hidden = false;
  following.textContent = text;
  following.className = state;
}

function follow() {
  const address = new URL(main.dataset.events, location);
  if (last !== undefined) address.searchParams.set("after", last);
  events = new EventSource(address);
  events.onopen = () => say("live", "on");
  events.onerror = () => events.readyState === EventSource.CLOSED
    ? say("Not live any more; reload to go on.", "off") : say("connecting", "off");
  for (const name of ["news", "over"]) {
    events.addEventListener(name, (event) => {
      if (event.lastEventId) last = event.lastEventId;
      put(JSON.parse(event.data));
    });
  }
  events.addEventListener("over", () => {
    events.close();
    delete main.dataset.events;
    say("The call is over.", "off");
  });
}

localise(document);
count();
setInterval(count, 1000);
if (main.dataset.events) {
  follow();
  // Nobody looks at a hidden page.
  document.addEventListener("visibilitychange", () => {
    if (!main.dataset.events) return;
    events.close();
    if (!document.hidden) follow();
  });
}
