// Keeps a page as the house is now: asks for the page anew, and changes what has changed. What somebody has opened, typed, marked or
// scrolled to stays. A hidden page does not ask. When it is not shown anew, the page says since when, and why if that was told.
"use strict";

(() => {
  const main = document.querySelector("main[data-every]");
  if (!main) return;
  const every = Number(main.dataset.every);
  // A look that takes longer is given up. A house whose store is away needs some seconds to say so.
  const patience = Math.max(5 * every, 15000);
  // What is older is said to be old.
  const freshFor = Math.max(3 * every, 4000);
  const stale = document.getElementById("stale");
  let answered = new Date();
  let why = "";
  let opened = Date.now();
  let timer;

  // Of a form, `id` would be its field of that name.
  function idOf(node) {
    return node.nodeType === Node.ELEMENT_NODE ? node.getAttribute("id") : null;
  }

  function alike(old, fresh) {
    return old.nodeName === fresh.nodeName && idOf(old) === idOf(fresh);
  }

  // By it the house knows a form that is sent twice: under whoever is about to send it, it must not become another.
  function isPromise(node) {
    return node.nodeName === "INPUT" && node.getAttribute("name") === "request_id";
  }

  function mergeAttributes(old, fresh) {
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (name === "value" && isPromise(old) && isPromise(fresh)) continue;
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
  }

  function merge(old, fresh) {
    if (old.nodeType === Node.TEXT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) return;
    mergeAttributes(old, fresh);
    const named = new Map([...old.children].filter(idOf).map((child) => [idOf(child), child]));
    const wanted = new Set([...fresh.children].map(idOf));
    let at = old.firstChild;
    for (const next of [...fresh.childNodes]) {
      // What has gone makes way, so that what stays is not moved and keeps the focus.
      while (at && idOf(at) && !wanted.has(idOf(at))) {
        const gone = at;
        at = at.nextSibling;
        gone.remove();
      }
      const known = idOf(next) ? named.get(idOf(next)) : at;
      if (known && alike(known, next)) {
        if (known === at) at = at.nextSibling;
        else old.insertBefore(known, at);
        merge(known, next);
      } else {
        old.insertBefore(document.importNode(next, true), at);
      }
    }
    while (at) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
  }

  function take(text) {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const wanted = fresh.querySelector("main[data-every]");
    if (!wanted) throw new Error("no page");
    merge(main, wanted);
    merge(document.getElementById("as-of"), fresh.getElementById("as-of"));
  }

  // What a page says that is shown instead.
  function troubleOf(text) {
    return new DOMParser().parseFromString(text, "text/html").querySelector(".trouble")?.textContent.replace(/\.$/, "") ?? "";
  }

  async function look() {
    let told = "";
    try {
      const answer = await fetch(location.href, {
        headers: { "x-bursar-live": "1" },
        cache: "no-store",
        redirect: "manual",
        signal: AbortSignal.timeout(patience),
      });
      // The way leads elsewhere: somebody has to sign in again.
      if (answer.type === "opaqueredirect") return location.reload();
      if (!answer.ok) {
        told = troubleOf(await answer.text());
        throw new Error(String(answer.status));
      }
      take(await answer.text());
      answered = new Date();
      stale.hidden = true;
    } catch {
      // One look may be lost with its connection; after some more, the page says so.
    }
    why = told;
    rest();
  }

  function tell() {
    if (document.hidden || Date.now() - Math.max(opened, answered) < freshFor) return;
    const since = answered.toISOString().slice(0, 19).replace("T", " ");
    const news = why ? `Not shown since ${since} UTC: ${why}.` : `Nothing has answered since ${since} UTC.`;
    const words = `${news} What stands here is as it was then.`;
    if (stale.textContent !== words) stale.textContent = words;
    stale.hidden = false;
  }

  function rest() {
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(look, every);
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    opened = Date.now();
    if (!document.hidden) look();
  });
  setInterval(tell, 1000);
  rest();
})();
