// On every page: times in the reader's zone, and the place in a navigation that a phone
// is too narrow for.
"use strict";
var localize = (root) => {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    time.title = at.toLocaleString([], { dateStyle: "full", timeStyle: "long" });
    // What says how long ago it was goes on saying so.
    if (!/[0-9]{2}:[0-9]{2}/.test(time.textContent)) continue;
    const far = time.hasAttribute("data-day") || at.toDateString() !== new Date().toDateString();
    const day = far ? at.toLocaleDateString([], { day: "numeric", month: "short" }) + " " : "";
    time.textContent = day + at.toLocaleTimeString([], { hour12: false });
  }
};
localize(document);
{
  const nav = document.querySelector("header nav");
  const here = nav && nav.querySelector("[aria-current]");
  if (here && nav.scrollWidth > nav.clientWidth) {
    nav.scrollLeft = here.offsetLeft - nav.offsetLeft - (nav.clientWidth - here.offsetWidth) / 2;
  }
}
