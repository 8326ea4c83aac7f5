"use strict";
const form = document.getElementById("filter");
const calls = [...document.querySelectorAll(".call")];
const words = new Map();
const text = (call) => {
  if (!words.has(call)) words.set(call, call.textContent.toLowerCase());
  return words.get(call);
};

function filter() {
  const wanted = Object.fromEntries(new FormData(form));
  const sought = wanted.text.trim().toLowerCase();
  let shown = 0;
  for (const call of calls) {
    const fits = ["verdict", "business", "tag"].every(
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
    call.hidden = false;
    call.open = true;
    call.scrollIntoView();
  }
}

form.hidden = false;
for (const event of ["input", "change"]) form.addEventListener(event, filter);
form.addEventListener("submit", (event) => event.preventDefault());
document.getElementById("unfold").addEventListener("click", (event) => {
  const open = event.target.textContent === "open all";
  for (const call of calls) if (!call.hidden) call.open = open;
  event.target.textContent = open ? "close all" : "open all";
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) {
    event.preventDefault();
    form.elements.text.focus();
  }
});
let folded = [];
addEventListener("beforeprint", () => {
  folded = calls.filter((call) => !call.open && !call.hidden);
  for (const call of folded) call.open = true;
});
addEventListener("afterprint", () => { for (const call of folded) call.open = false; });
addEventListener("hashchange", openTarget);
filter();
openTarget();
