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

  const sameShape = (old, fresh) =>
    old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && old.id === fresh.id;

  // Attribute by attribute and child by child; what is equal is left alone.
  const patch = (old, fresh) => {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    for (const { name } of [...old.attributes]) {
      // What the reader has unfolded stays unfolded.
      if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    children(old, fresh);
  };

  // Elements with an id are found again wherever they stand; what comes and goes
  // between them is inserted and removed without touching them.
  const children = (old, fresh) => {
    const wanted = [...fresh.childNodes];
    const kept = new Map([...old.children].filter((one) => one.id).map((one) => [one.id, one]));
    const coming = new Set(wanted.map((node) => node.id).filter(Boolean));
    let now = old.firstChild;
    for (const node of wanted) {
      const known = node.id && kept.get(node.id);
      while (known && now && now !== known) {
        const gone = now;
        now = now.nextSibling;
        gone.remove();
      }
      if (!now) old.append(node);
      else if (sameShape(now, node)) {
        patch(now, node);
        now = now.nextSibling;
      } else if (node.id || coming.has(now.id)) old.insertBefore(node, now);
      else {
        const next = now.nextSibling;
        now.replaceWith(node);
        now = next;
      }
    }
    while (now) {
      const gone = now;
      now = now.nextSibling;
      gone.remove();
    }
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
    children(board, fresh);
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
