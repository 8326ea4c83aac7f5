"use strict";
const form = document.getElementById("filter");
const calls = [...document.querySelectorAll(".call")];
const words = new Map();

// A call's transcript is one string of markup, made by the report, until it is unfolded.
function render(call) {
  const folded = call.querySelector(":scope > noscript");
  if (folded) folded.replaceWith(document.createRange().createContextualFragment(folded.textContent));
}

function text(call) {
  if (!words.has(call)) {
    const folded = call.querySelector(":scope > noscript");
    const markup = folded ? folded.textContent.replace(/<\/?(bdi|b|span)\b[^>]*>/g, "").replace(/<[^>]*>/g, "\n") : "";
    const plain = document.createElement("textarea");
    plain.innerHTML = markup;
    words.set(call, ((folded ? call.firstElementChild.textContent + plain.value : call.textContent)).toLowerCase());
  }
  return words.get(call);
}

function filter() {
  const wanted = Object.fromEntries(new FormData(form));
  const sought = wanted.text.trim().toLowerCase();
  let shown = 0;
  for (const call of calls) {
    const fits = ["outcome", "verdict", "business", "tag"].every(
      (key) => !wanted[key] || call.dataset[key].includes("|" + wanted[key] + "|"));
    call.hidden = !(fits && (!sought || text(call).includes(sought)));
    shown += !call.hidden;
  }
  document.getElementById("count").textContent = shown + " of " + calls.length + " calls";
  document.getElementById("none").hidden = shown > 0;
}

function openTarget() {
  const call = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (call && call.classList.contains("call")) {
    render(call);
    call.hidden = false;
    call.open = true;
    call.scrollIntoView();
  }
}

function step(by) {
  const shown = calls.filter((call) => !call.hidden);
  const here = shown.findIndex((call) => call.contains(document.activeElement));
  const next = shown[here < 0 ? (by > 0 ? 0 : shown.length - 1) : here + by];
  if (next) {
    next.firstElementChild.focus();
    next.scrollIntoView({ block: "start" });
  }
}

form.hidden = document.querySelector(".keys").hidden = false;
for (const event of ["input", "change"]) form.addEventListener(event, filter);
form.addEventListener("submit", (event) => event.preventDefault());
document.getElementById("unfold").addEventListener("click", (event) => {
  const open = event.target.textContent === "open all";
  for (const call of calls) {
    if (call.hidden) continue;
    if (open) render(call);
    call.open = open;
  }
  event.target.textContent = open ? "close all" : "open all";
});
document.addEventListener("toggle", (event) => {
  if (event.target.open && event.target.classList.contains("call")) render(event.target);
}, true);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || /^(INPUT|SELECT|TEXTAREA|AUDIO)$/.test(event.target.tagName)) return;
  if (event.key === "/") form.elements.text.focus();
  else if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else return;
  event.preventDefault();
});

for (const button of document.querySelectorAll(".verdicts button")) button.addEventListener("click", () => {
  form.elements.verdict.value = button.value;
  filter();
  document.getElementById("calls").scrollIntoView();
  document.getElementById("calls").focus({ preventScroll: true });
});
// Paper cannot be unfolded: what is small is printed open.
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll(".matrix, .prompts")) folded.open = true;
});

const theme = document.getElementById("theme");
const dark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
const nameTheme = () => { theme.textContent = isDark() ? "light" : "dark"; };
theme.hidden = false;
theme.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  nameTheme();
});
dark.addEventListener("change", nameTheme);
nameTheme();

for (const call of calls) if (call.open) render(call);
addEventListener("hashchange", openTarget);
openTarget();
filter();

// What is folded is unfolded when there is nothing else to do, so that the browser's own search finds it.
const rest = calls.slice();
const idle = window.requestIdleCallback || ((work) => setTimeout(() => work({ timeRemaining: () => 5 }), 50));
idle(function work(deadline) {
  while (rest.length && deadline.timeRemaining() > 2) render(rest.shift());
  if (rest.length) idle(work);
});
