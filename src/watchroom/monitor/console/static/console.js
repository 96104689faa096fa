// Keeps the page current: fetches the fragment and changes only what differs, so that
// focus, selection and the screen reader's place stay where they are.
"use strict";
(() => {
  const live = document.getElementById("live");
  const board = document.getElementById("board");
  const every = Math.max(2, Number(live.dataset.every) || 5) * 1000;
  const words = live.querySelector("span");
  const calm = words.textContent;
  let heard = Date.now();

  // What the reader has unfolded stays unfolded, what was typed or chosen stays so.
  const typed = new Set(["value", "checked", "selected"]);
  const morph = {
    morphStyle: "innerHTML",
    callbacks: {
      beforeAttributeUpdated: (name, element, change) =>
        name === "open" ? change !== "remove" : !typed.has(name) || element.type === "hidden",
    },
  };

  const update = async () => {
    const answer = await fetch(live.dataset.from || "board", { cache: "no-store", signal: AbortSignal.timeout(8000) });
    if (answer.redirected) { location.reload(); return; }
    const text = await answer.text();
    if (!answer.ok && !text.includes("verdict")) throw new Error(String(answer.status));
    const fresh = document.createElement("div");
    const page = new DOMParser().parseFromString(text, "text/html");
    // A fragment, or a whole page of which the same part is taken.
    fresh.append(...(page.getElementById("board") || page.body).childNodes);
    localize(fresh);
    Idiomorph.morph(board, [...fresh.childNodes], morph);
    const sentence = document.getElementById("sentence");
    const symbol = sentence ? sentence.textContent.trim().slice(0, 1) : "▲";
    document.title = document.title.replace(/^([▲◆○] )?/, "●".includes(symbol) ? "" : `${symbol} `);
    heard = Date.now();
  };

  const tick = async () => {
    if (!document.hidden) {
      try { await update(); } catch { /* said below */ }
    }
    const silent = Math.round((Date.now() - heard) / 1000);
    const lost = !document.hidden && silent * 1000 > every * 2 + 2000;
    document.body.classList.toggle("lost", lost);
    words.textContent = lost ? `no response for ${silent} s` : calm;
    setTimeout(tick, every);
  };

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) update().catch(() => {});
  });
  setTimeout(tick, every);
})();
